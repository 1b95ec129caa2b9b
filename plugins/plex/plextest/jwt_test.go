package plextest_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func deviceKey(seed byte) (ed25519.PrivateKey, m) {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	return key, m{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}
}

func TestJWTRefresh(t *testing.T) {
	w := newWorld(t)
	key, jwk := deviceKey('a')
	stranger, _ := deviceKey('b')
	nonce := func() string {
		t.Helper()
		return w.get("/api/v2/auth/nonce", nobody).is(200).object().text("nonce")
	}
	w.get("/api/v2/auth/nonce", nobody, client("")).is(422)
	exchange := func(key ed25519.PrivateKey, claims m) answer {
		t.Helper()
		return w.do("POST", w.cloud("/api/v2/auth/token"), m{"jwt": plextest.SignDeviceJWT(key, "k1", claims)}, nobody)
	}
	w.do("POST", w.cloud("/api/v2/auth/jwk"), m{"jwk": m{"kty": "RSA"}}).is(400)
	w.do("POST", w.cloud("/api/v2/auth/jwk"), m{"jwk": jwk}, nobody).is(401)
	w.do("POST", w.cloud("/api/v2/auth/jwk"), m{"jwk": jwk}).is(201)
	w.do("POST", w.cloud("/api/v2/auth/jwk"), m{"jwk": jwk}, client("another")).is(422) // thumbprint taken

	good := func() m { return m{"nonce": nonce(), "iss": "owner-client", "aud": "plex.tv"} }
	exchange(stranger, good()).is(422)
	if a := exchange(key, m{"nonce": nonce(), "iss": "else"}).is(422); a.errorCode() != 1097 {
		t.Errorf("issuer: %s", a.body)
	}
	exchange(key, m{"nonce": "made up", "iss": "owner-client"}).is(422)
	late := good()
	w.f.Advance(5 * time.Minute)
	exchange(key, late).is(422)
	w.do("POST", w.cloud("/api/v2/auth/token"), m{"jwt": "no jwt"}, nobody).is(400)
	once := good()
	token := exchange(key, once).is(200).object().text("auth_token")
	exchange(key, once).is(422) // a nonce works once
	w.get("/api/v2/user", as(token)).is(200)
	w.get("/api/v2/user").is(401) // the legacy token of the device is dead
	w.f.Advance(8 * 24 * time.Hour)
	w.get("/api/v2/user", as(token)).is(498)
	again := exchange(key, good()).is(200).object().text("auth_token") // refreshable after expiry
	w.get("/api/v2/user", as(again)).is(200)

	public, err := base64.RawURLEncoding.DecodeString(w.get("/api/v2/auth/keys", nobody).is(200).object().objects("keys")[0].text("x"))
	if err != nil {
		t.Fatal(err)
	}
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || !ed25519.Verify(public, []byte(token[:i]), signature) {
		t.Error("the JWT is not signed by the published key")
	}
}

func TestJWTPin(t *testing.T) {
	w := newWorld(t)
	key, jwk := deviceKey('c')
	other, _ := deviceKey('d')
	p := w.do("POST", w.cloud("/api/v2/pins"), m{"jwk": jwk, "strong": true}, nobody, client("dev")).is(201).object()
	w.do("POST", w.cloud("/api/v2/pins"), m{"jwk": m{"kty": "OKP"}}, nobody, client("dev")).is(400)
	poll := func(key ed25519.PrivateKey, iss string) answer {
		t.Helper()
		signed := plextest.SignDeviceJWT(key, "k1", map[string]any{"iss": iss, "aud": "plex.tv"})
		return w.get("/api/v2/pins/"+fmt.Sprint(p.number("id"))+"?deviceJWT="+signed, nobody, client("dev"))
	}
	w.poll(p, "dev").is(400) // no deviceJWT
	poll(other, "dev").is(422)
	poll(key, "else").is(422)
	if err := w.f.Approve(p.text("code"), w.alice.ID); err != nil {
		t.Fatal(err)
	}
	token := poll(key, "dev").is(200).object().text("authToken")
	if strings.Count(token, ".") != 2 || w.get("/api/v2/user", as(token)).is(200).object().number("id") != w.alice.ID {
		t.Errorf("token %s", token)
	}
}
