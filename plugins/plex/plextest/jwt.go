package plextest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// keyJWK is a device's public key. The times that a device writes into what it
// signs are not checked: its clock is not the Fake's.
type keyJWK struct {
	kid string
	key ed25519.PublicKey
}

type deviceKey struct {
	account int64
	jwk     keyJWK
}

const nonceLife = 5 * time.Minute

func parseJWK(in fields) (*keyJWK, bool) {
	x, err := base64.RawURLEncoding.DecodeString(in.text("x"))
	if err != nil || len(x) != ed25519.PublicKeySize || in.text("kty") != "OKP" || in.text("crv") != "Ed25519" {
		return nil, false
	}
	return &keyJWK{kid: in.text("kid"), key: x}, true
}

// issueJWT signs a JWT for a device and kills the device's legacy token.
func (f *Fake) issueJWT(account int64, clientID string) *token {
	f.revoke(account, clientID, false)
	expires := f.now().Add(jwtLife)
	header := jsonPart(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": "plextest"})
	payload := jsonPart(map[string]any{
		"iss": "plex.tv", "aud": []string{"plex.tv", clientID}, "user": map[string]any{"id": account},
		"iat": f.now().Unix(), "exp": expires.Unix(), "jti": f.random.hex(16),
	})
	signed := header + "." + payload
	signature := base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.signingKey(), []byte(signed)))
	t := &token{Token{Value: signed + "." + signature, Account: account, ClientID: clientID, JWT: true, ExpiresAt: expires}}
	f.tokens = append(f.tokens, t)
	return t
}

func (f *Fake) signingKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(f.signingSeed) }

func jsonPart(v map[string]any) string { return base64.RawURLEncoding.EncodeToString(jsonValue(v)) }

// nonce is what a device signs to prove that it is awake.
func (c *call) nonce() reply {
	if c.clientID() == "" {
		return errorsV2(http.StatusUnprocessableEntity, codeClientIDMissing, "X-Plex-Client-Identifier is missing")
	}
	value := c.f.random.guid()
	c.f.nonces[value] = c.f.now().Add(nonceLife)
	return ok(el("nonce", at("nonce", value)))
}

// bindKey ties a key to the device behind a token.
func (c *call) bindKey() reply {
	client := c.clientID()
	if client == "" {
		return clientIDMissing()
	}
	key, valid := parseJWK(c.fields.sub("jwk"))
	if !valid {
		return errorsV2(http.StatusBadRequest, codeInvalid, "The key is malformed")
	}
	for other, bound := range c.f.deviceKeys {
		if other != client && bound.jwk.key.Equal(key.key) {
			return errorsV2(http.StatusUnprocessableEntity, codeInvalid, "Thumbprint has already been taken")
		}
	}
	c.f.deviceKeys[client] = deviceKey{account: c.who.ID, jwk: *key}
	return created(el("jwk", at("kid", key.kid)))
}

// exchangeJWT turns a nonce that the device signed into a Plex JWT.
func (c *call) exchangeJWT() reply {
	client := c.clientID()
	if client == "" {
		return clientIDMissing()
	}
	bound, known := c.f.deviceKeys[client]
	claims, malformed := readJWT(c.fields.text("jwt"))
	nonce, _ := claims["nonce"].(string)
	until, issued := c.f.nonces[nonce]
	switch {
	case malformed:
		return errorsV2(http.StatusBadRequest, codeInvalid, "The JWT is malformed")
	case claims["iss"] != client:
		return errorsV2(http.StatusUnprocessableEntity, codeIssuerMismatch, "iss does not match the client identifier")
	case !known || !verifyJWT(c.fields.text("jwt"), bound.jwk.key):
		return errorsV2(http.StatusUnprocessableEntity, codeInvalid, "Signature verification failed")
	case !issued || !c.f.now().Before(until):
		return errorsV2(http.StatusUnprocessableEntity, codeInvalid, "The nonce is unknown or expired")
	}
	delete(c.f.nonces, nonce)
	return ok(el("auth", at("auth_token", c.f.issueJWT(bound.account, client).Value)))
}

// signingKeys is the JWKS of the cloud.
func (c *call) signingKeys() reply {
	public := c.f.signingKey().Public().(ed25519.PublicKey)
	return ok(el("jwks").with(children{key: "keys", items: []*element{el("key",
		at("kty", "OKP"), at("crv", "Ed25519"), at("alg", "EdDSA"), at("use", "sig"), at("kid", "plextest"),
		at("x", base64.RawURLEncoding.EncodeToString(public)))}}))
}

// checkDeviceJWT proves that whoever polls a pin holds the key it was made with.
func (c *call) checkDeviceJWT(key keyJWK, compact string) (reply, bool) {
	claims, malformed := readJWT(compact)
	switch {
	case malformed:
		return errorsV2(http.StatusBadRequest, codeInvalid, "deviceJWT is malformed"), false
	case claims["iss"] != c.clientID():
		return errorsV2(http.StatusUnprocessableEntity, codeIssuerMismatch, "iss does not match the client identifier"), false
	case !verifyJWT(compact, key.key):
		return errorsV2(http.StatusUnprocessableEntity, codeInvalid, "Signature verification failed"), false
	}
	return reply{}, true
}

func readJWT(compact string) (claims map[string]any, malformed bool) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, true
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return nil, true
	}
	return claims, false
}

func verifyJWT(compact string, key ed25519.PublicKey) bool {
	i := strings.LastIndexByte(compact, '.')
	signature, err := base64.RawURLEncoding.DecodeString(compact[i+1:])
	return err == nil && ed25519.Verify(key, []byte(compact[:i]), signature)
}

// SignDeviceJWT is the device's half, for tests of a client's refresh: claims
// signed by the device's key.
func SignDeviceJWT(key ed25519.PrivateKey, kid string, claims map[string]any) string {
	signed := jsonPart(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": kid}) + "." + jsonPart(claims)
	return fmt.Sprintf("%s.%s", signed, base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed))))
}
