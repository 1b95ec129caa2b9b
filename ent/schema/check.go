package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
)

// checks makes the CHECK constraints of a table: one for each enumeration among its
// fields, and the extra ones, given as name to expression. The name of a constraint
// ends in a hash of its expression: the planner of the migrations compares names, not
// expressions, so that a changed check under an old name would change nothing.
func checks(table string, fields []ent.Field, extra map[string]string) entsql.Annotation {
	all := maps.Clone(extra)
	if all == nil {
		all = map[string]string{}
	}
	for _, f := range fields {
		d := f.Descriptor()
		if len(d.Enums) == 0 {
			continue
		}
		var values []string
		for _, e := range d.Enums {
			values = append(values, "'"+e.V+"'")
		}
		slices.Sort(values)
		all[d.Name] = d.Name + " IN (" + strings.Join(values, ", ") + ")"
	}
	named := make(map[string]string, len(all))
	for name, expr := range all {
		sum := sha256.Sum256([]byte(expr))
		named[table+"_"+name+"_"+hex.EncodeToString(sum[:4])] = expr
	}
	return entsql.Annotation{Table: table, Checks: named}
}
