package api

import (
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// Grant is what somebody may do on one media server. The same four members stand
// wherever access is spoken of.
type Grant struct {
	Libraries   GrantLibraries    `json:"libraries"`
	Permissions map[string]string `json:"permissions" doc:"Name to allow or deny; an absent name is unset: the server type's default."`
	Limits      map[string]int64  `json:"limits" doc:"Name to number in the unit that the server type declares; 0 = no limit, absent = unset."`
	Options     map[string]any    `json:"options" doc:"By the server type's options_schema."`
}

// GrantLibraries says which libraries are visible. There is no default.
type GrantLibraries struct {
	Access     string   `json:"access" doc:"all, none or only."`
	LibraryIDs []string `json:"library_ids" nullable:"false" doc:"Zondarr's ids of libraries of that server."`
}

// GrantLibrariesInput says which libraries are to be visible.
type GrantLibrariesInput struct {
	Access     string   `json:"access" enum:"all,none,only" doc:"There is no default: say it. only needs at least one library id, the others none."`
	LibraryIDs []string `json:"library_ids,omitempty" maxItems:"1000" doc:"Zondarr's ids of libraries of that server."`
}

// GrantInput is a grant as it is written.
type GrantInput struct {
	Libraries   GrantLibrariesInput `json:"libraries"`
	Permissions map[string]string   `json:"permissions,omitempty" doc:"Name to allow or deny; an absent name is unset: the server type's default."`
	Limits      map[string]int64    `json:"limits,omitempty" doc:"Name to number in the unit that the server type declares; 0 = no limit, absent = unset."`
	Options     map[string]any      `json:"options,omitempty" doc:"By the server type's options_schema."`
}

func (g GrantInput) grant(at string) (grant.Grant, []fault.Field) {
	out := grant.Grant{Access: sdk.LibraryMode(g.Libraries.Access), Permissions: g.Permissions, Limits: g.Limits, Options: g.Options}
	var problems []fault.Field
	for i, raw := range g.Libraries.LibraryIDs {
		id, err := uuid.Parse(raw)
		if err != nil {
			problems = append(problems, fault.Field{
				Location: index(at+".libraries.library_ids", i), Code: fault.FieldInvalid, Message: "This must be an id of a library (a UUID), as /servers/{id}/libraries tells it.",
			})
			continue
		}
		out.LibraryIDs = append(out.LibraryIDs, id)
	}
	for name, v := range g.Permissions {
		if v != grant.Allow && v != grant.Deny {
			problems = append(problems, fault.Field{Location: at + ".permissions." + name, Code: fault.FieldInvalid, Message: "This must be allow or deny; leave it out for the default."})
		}
	}
	return out, problems
}

func toGrant(g grant.Grant) Grant {
	g = g.Normalize()
	ids := make([]string, len(g.LibraryIDs))
	for i, id := range g.LibraryIDs {
		ids[i] = id.String()
	}
	return Grant{
		Libraries: GrantLibraries{Access: string(g.Access), LibraryIDs: ids}, Permissions: g.Permissions, Limits: g.Limits, Options: g.Options,
	}
}

// TargetServer is one server of an invitation or profile, and what is granted
// there.
type TargetServer struct {
	ServerID   string `json:"server_id" format:"uuid"`
	ServerName string `json:"server_name"`
	ServerType string `json:"server_type"`
	Available  bool   `json:"available" doc:"Whether the server is enabled; others are skipped."`
	Grant
	Warnings []GrantWarning `json:"warnings" nullable:"false" doc:"What this server will not do of the grant."`
}

// GrantWarning is something that a server will not do.
type GrantWarning struct {
	Code    string `json:"code" doc:"permission_unsupported, limit_unsupported or library_gone."`
	Name    string `json:"name"`
	Message string `json:"message"`
}

func toTargets(servers []invitation.Server) []TargetServer {
	out := make([]TargetServer, len(servers))
	for i, s := range servers {
		out[i] = TargetServer{
			ServerID: s.ID.String(), ServerName: s.Name, ServerType: s.Type, Available: s.Available, Grant: toGrant(s.Grant),
			Warnings: make([]GrantWarning, len(s.Warnings)),
		}
		for j, w := range s.Warnings {
			out[i].Warnings[j] = GrantWarning(w)
		}
	}
	return out
}

// TargetInput is one server of an invitation or profile as it is written.
type TargetInput struct {
	ServerID string `json:"server_id" format:"uuid"`
	GrantInput
}

func targetGrants(in []TargetInput) ([]invitation.ServerGrant, error) {
	out := make([]invitation.ServerGrant, len(in))
	var problems []fault.Field
	for i, t := range in {
		g, more := t.grant(index("body.servers", i))
		problems = append(problems, more...)
		id, err := uuid.Parse(t.ServerID)
		if err != nil {
			problems = append(problems, fault.Field{Location: index("body.servers", i) + ".server_id", Code: fault.FieldInvalid, Message: "This must be an id of a server (a UUID)."})
		}
		out[i] = invitation.ServerGrant{ServerID: id, Grant: g}
	}
	if len(problems) > 0 {
		return nil, fault.InvalidInput(problems...)
	}
	return out, nil
}
