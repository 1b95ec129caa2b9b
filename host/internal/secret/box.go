// Package secret seals what must not be read from a stolen database: media
// server credentials, link states, plugin states.
//
// A Box seals with AES-256-GCM under a key derived from the operator's secret
// by HKDF-SHA256. Each value is bound to the place where it is stored (its
// context, "table:row-id"), so that a sealed value copied into another row does
// not open. The package knows nothing of databases, settings or what it seals;
// it never logs and its errors hold no input.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MinKeyLength is the least length of the secret key, in bytes.
const MinKeyLength = 32

// ErrWrongKey says that a value was sealed under another key, bound to another
// context, or damaged; the three cannot be told apart.
var ErrWrongKey = errors.New("sealed value does not open: another secret key, another place, or damage")

// format is the first byte of every sealed value; the next four are the id of
// the key, so that a rotated value names the key that opens it.
const (
	format    = 1
	keyIDSize = 4
	header    = 1 + keyIDSize
)

// Box seals under one key and opens under that one and the previous one.
type Box struct {
	current  key
	previous *key
}

type key struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
	mac  []byte
	// fingerprint names the key without telling it.
	fingerprint string
}

// New makes a Box. previous is the key before a rotation, or "".
func New(current, previous string) (*Box, error) {
	c, err := newKey(current)
	if err != nil {
		return nil, err
	}
	b := &Box{current: c}
	if previous != "" {
		p, err := newKey(previous)
		if err != nil {
			return nil, fmt.Errorf("previous key: %w", err)
		}
		b.previous = &p
	}
	return b, nil
}

func newKey(secret string) (key, error) {
	if len(secret) < MinKeyLength {
		return key{}, fmt.Errorf("the secret key has %d bytes, want at least %d", len(secret), MinKeyLength)
	}
	derive := func(info string, n int) ([]byte, error) { return hkdf.Key(sha256.New, []byte(secret), nil, info, n) }
	seal, err := derive("zondarr seal v1", 32)
	if err != nil {
		return key{}, err
	}
	mac, err := derive("zondarr mac v1", 32)
	if err != nil {
		return key{}, err
	}
	finger, err := derive("zondarr fingerprint v1", 16)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	return key{id: [keyIDSize]byte(finger[:keyIDSize]), aead: aead, mac: mac, fingerprint: hex.EncodeToString(finger)}, nil
}

// Seal gives plaintext sealed for context. Two seals of one text differ.
func (b *Box) Seal(context string, plaintext []byte) ([]byte, error) {
	out := append([]byte{format}, b.current.id[:]...)
	return b.current.aead.Seal(out, nil, plaintext, []byte(context)), nil //nolint:gosec // the AEAD draws a random nonce itself, so none is passed
}

// Open gives what Seal sealed for the same context, under the current or the
// previous key, or ErrWrongKey.
func (b *Box) Open(context string, sealed []byte) ([]byte, error) {
	for _, k := range b.keys() {
		if k.sealed(sealed) {
			if plaintext, err := k.aead.Open(nil, nil, sealed[header:], []byte(context)); err == nil {
				return plaintext, nil
			}
		}
	}
	return nil, ErrWrongKey
}

// Current says whether a sealed value is under the current key, so that a
// rotation can pass over it.
func (b *Box) Current(sealed []byte) bool { return b.current.sealed(sealed) }

// sealed says whether a value was sealed under this key, by the id in front of it.
func (k *key) sealed(value []byte) bool {
	return len(value) >= header && value[0] == format && [keyIDSize]byte(value[1:header]) == k.id
}

func (b *Box) keys() []*key {
	if b.previous == nil {
		return []*key{&b.current}
	}
	return []*key{&b.current, b.previous}
}

// MAC gives an HMAC-SHA256 of parts under the current key. The parts are
// length-prefixed: ("ab","c") and ("a","bc") differ.
func (b *Box) MAC(parts ...string) []byte { return b.current.sum(parts) }

// SameMAC says whether MAC gave mac for the same parts, under the current or the
// previous key.
func (b *Box) SameMAC(mac []byte, parts ...string) bool {
	return slices.ContainsFunc(b.keys(), func(k *key) bool { return hmac.Equal(mac, k.sum(parts)) })
}

func (k *key) sum(parts []string) []byte {
	m := hmac.New(sha256.New, k.mac)
	for _, p := range parts {
		fmt.Fprintf(m, "%d:", len(p))
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// KeyID names the current key without telling it, in short: eight hexadecimal digits.
func (b *Box) KeyID() string { return hex.EncodeToString(b.current.id[:]) }

// KeyOf names the key that opens a sealed value without telling it, or "" where
// the box has another.
func (b *Box) KeyOf(sealed []byte) string {
	for _, k := range b.keys() {
		if k.sealed(sealed) {
			return k.fingerprint
		}
	}
	return ""
}

// Fits says whether the box has every key that names, made by KeyOf and with blanks
// between them, stand for.
func (b *Box) Fits(names string) bool {
	wanted := strings.Fields(names)
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(name string) bool {
		return !slices.ContainsFunc(b.keys(), func(k *key) bool { return k.fingerprint == name })
	})
}
