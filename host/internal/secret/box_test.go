package secret_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/secret"
)

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func newBox(t testing.TB, current, previous string) *secret.Box {
	t.Helper()
	b, err := secret.New(current, previous)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealOpen(t *testing.T) {
	b := newBox(t, keyA, "")
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		where := rapid.String().Draw(t, "context")
		sealed, err := b.Seal(where, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Open(where, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v; want %q", got, err, plain)
		}
		if _, err := b.Open(where+"x", sealed); !errors.Is(err, secret.ErrWrongKey) {
			t.Fatalf("another context opened it: %v", err)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= 1
		if _, err := b.Open(where, sealed); !errors.Is(err, secret.ErrWrongKey) {
			t.Fatalf("a damaged value opened: %v", err)
		}
	})
}

func TestRotation(t *testing.T) {
	before := newBox(t, keyA, "")
	sealed, err := before.Seal("t:1", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newBox(t, keyB, "").Open("t:1", sealed); !errors.Is(err, secret.ErrWrongKey) {
		t.Fatalf("another key opened it: %v", err)
	}
	during := newBox(t, keyB, keyA)
	got, err := during.Open("t:1", sealed)
	if err != nil || string(got) != "token" {
		t.Fatalf("Open under the previous key = %q, %v", got, err)
	}
	if name := before.KeyOf(sealed); during.Current(sealed) || name == "" || during.KeyOf(sealed) != name || !during.Fits(name) {
		t.Fatal("a value under the previous key counts as current, or its key does not fit")
	}
	resealed, err := during.Seal("t:1", got)
	if err != nil {
		t.Fatal(err)
	}
	if !during.Current(resealed) {
		t.Fatal("a fresh value does not count as current")
	}
	both := before.KeyOf(sealed) + " " + during.KeyOf(resealed)
	if !during.Fits(both) || before.Fits(both) || newBox(t, keyB, "").Fits(both) || during.Fits("") || before.KeyOf(resealed) != "" {
		t.Fatal("one key fits where two are needed, or none where none is named")
	}
}

func TestShortKeyRefused(t *testing.T) { // R1.6
	for _, k := range []string{"", keyA[:31]} {
		if _, err := secret.New(k, ""); err == nil || strings.Contains(err.Error(), keyA[:31]) {
			t.Fatalf("New(%d bytes) = %v; want an error without the key", len(k), err)
		}
	}
}

func TestMACKeepsPartsApart(t *testing.T) {
	b := newBox(t, keyA, "")
	if bytes.Equal(b.MAC("ab", "c"), b.MAC("a", "bc")) {
		t.Fatal("the parts run together")
	}
}

func TestMACOutlivesRotation(t *testing.T) {
	mac := newBox(t, keyA, "").MAC("ab", "c")
	for _, tt := range []struct {
		box   *secret.Box
		parts []string
		want  bool
	}{
		{newBox(t, keyA, ""), []string{"ab", "c"}, true},
		{newBox(t, keyB, keyA), []string{"ab", "c"}, true},
		{newBox(t, keyB, keyA), []string{"a", "bc"}, false},
		{newBox(t, keyB, ""), []string{"ab", "c"}, false},
	} {
		if got := tt.box.SameMAC(mac, tt.parts...); got != tt.want {
			t.Errorf("%q is the same: %v, want %v", tt.parts, got, tt.want)
		}
	}
}
