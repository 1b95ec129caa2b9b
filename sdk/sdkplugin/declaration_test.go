package sdkplugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// R3.7: what is declared follows from the code, and arrives as it was.
func TestDeclaration(t *testing.T) {
	fake := sdktest.NewFake()
	d, err := sdktest.Connect(t, fake).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := fake.Describe()
	if got := d.Description; !reflect.DeepEqual(got, want.WithCapabilities(want.Capabilities())) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if d.ProtocolVersion != sdkplugin.ProtocolVersion || d.SDKVersion == "" {
		t.Errorf("got %d and %q", d.ProtocolVersion, d.SDKVersion)
	}
	again, err := sdkplugin.ParseDeclaration(d.JSON)
	if err != nil || !reflect.DeepEqual(again, d) {
		t.Errorf("read back: %v\n got %+v\nwant %+v", err, again, d)
	}
	// A newer plugin says more; a kept declaration of it can still be read.
	newer := bytes.Replace(d.JSON, []byte(`{`), []byte(`{"a_field_of_tomorrow":[1],`), 1)
	if _, err := sdkplugin.ParseDeclaration(newer); err != nil {
		t.Errorf("a newer one: %v", err)
	}
	minimal, err := sdktest.Connect(t, &sdktest.Fake{Minimal: true}).Describe(t.Context())
	if err != nil || len(minimal.Description.Capabilities()) != 0 {
		t.Errorf("the minimal one: %v, %v", minimal.Description.Capabilities(), err)
	}
}

// A plugin whose description is wrong is not served, and says all that is wrong.
func TestWrongDescriptions(t *testing.T) {
	calls := 0
	for name, tt := range map[string]struct {
		change func(*sdk.Description)
		says   string
	}{
		"no client":      {func(d *sdk.Description) { d.Client = nil }, "Client is nil"},
		"no name":        {func(d *sdk.Description) { d.Name = "" }, `Name ""`},
		"not the same":   {func(d *sdk.Description) { calls++; d.Version = strings.Repeat("x", calls) }, "differently the second time"},
		"panics":         {func(*sdk.Description) { panic("no") }, "panicked"},
		"several faults": {func(d *sdk.Description) { d.Version, d.DisplayName = "", "" }, "Version is empty\nDisplayName is empty"},
	} {
		_, err := sdkplugin.NewServer(&stubPlugin{describe: tt.change})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseDeclaration(f *testing.F) {
	fake := sdktest.NewFake()
	server, err := sdkplugin.NewServer(fake)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = server.Close(context.Background()) })
	d, err := sdktest.Connect(f, fake).Describe(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.JSON)
	f.Add([]byte(`{"protocol_version":1,"settings_schema":{"type":"object","properties":{"a":{"type":"string"}}}}`))
	f.Add([]byte(`{"protocol_version":1,"limits":[{"min":"9223372036854775807"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := sdkplugin.ParseDeclaration(data)
		if err != nil {
			return
		}
		if err := d.Description.Validate(); err != nil {
			t.Fatalf("it was read and is not valid: %v", err)
		}
		if !json.Valid(d.JSON) {
			t.Fatalf("it is kept as %s", d.JSON)
		}
		again, err := sdkplugin.ParseDeclaration(d.JSON)
		if err != nil || !bytes.Equal(again.JSON, d.JSON) {
			t.Fatalf("read back: %v\n got %s\nwant %s", err, again.JSON, d.JSON)
		}
	})
}
