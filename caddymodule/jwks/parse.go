// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

const (
	// maxKeySet (in bytes) and maxKeys are several times what the largest issuers
	// publish. A larger set is refused and not read in part: it would be left to
	// chance whose sessions are valid.
	maxKeySet = 4 << 20
	maxKeys   = 1000

	// maxKeysWithoutID is how many keys a set may have for a token that names none
	// to be tried with each. That takes a part of a millisecond each, and anybody
	// can send such tokens.
	maxKeysWithoutID = 100

	// maxKeyID is how long a `kid` may be, in bytes: more than any issuer needs.
	maxKeyID = 256
)

// fetchedKeys are the keys of one answer of an issuer.
type fetchedKeys struct {
	keys        []jose.JSONWebKey
	requestedAt time.Time // just before the request was sent
}

// verify returns the payload of a token that is signed by the key of its `kid`, or
// by any key if it has no `kid`. A key that names an algorithm is used with that
// one alone. s may be nil: no keys.
func (s *fetchedKeys) verify(token *jose.JSONWebSignature) (payload []byte, err error) {
	if s == nil {
		return nil, errNoKey
	}
	header, err := token.Signatures[0].Protected, errNoKey
	if header.KeyID == "" && len(s.keys) > maxKeysWithoutID {
		return nil, fmt.Errorf("JWT: it names no key (kid), and the issuer has more than %d", maxKeysWithoutID)
	}
	for _, key := range s.keys {
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		if header.KeyID != "" {
			err = errWrongKey
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, err
}

var (
	errWrongKey = errors.New("JWT: the issuer's key of that name (kid) has not signed it")
	errNoKey    = errors.New("JWT: the issuer has no key that has signed it")
)

// UnusedKey is a key of a set that is not used.
type UnusedKey struct {
	// KeyID is the printable `kid`; empty if it has none.
	KeyID string
	// Reason is for the operator's log. It quotes nothing of the key.
	Reason string
	// Intended is whether the issuer itself says that the key is for something
	// else than verifying signatures.
	Intended bool
}

// parseKeySet returns the keys that are for signatures, of a JSON Web Key Set (RFC
// 7517 section 5) or of an object of PEM certificates by their `kid`, as Google
// publishes those of Firebase. unused are keys for something else, of unknown types,
// and malformed ones: one such key must not keep the others from being used. The
// error is that there is no key left, or too many.
func parseKeySet(text []byte) (keys []jose.JSONWebKey, unused []UnusedKey, err error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return nil, nil, errors.New("the answer is no JSON Web Key Set")
	}
	add := func(name string, key jose.JSONWebKey, reason string, intended bool) {
		if reason == "" {
			if _, err := algorithmsFor(key.Key); err != nil {
				reason = err.Error()
			}
		}
		if reason == "" {
			keys = append(keys, key)
			return
		}
		unused = append(unused, UnusedKey{KeyID: delegation.Printable(name, maxKeyID), Reason: reason, Intended: intended})
	}
	switch list, isSet := object["keys"]; {
	case isSet:
		var all []json.RawMessage
		if json.Unmarshal(list, &all) != nil {
			return nil, nil, errors.New("the answer is no JSON Web Key Set: keys is no list")
		}
		if len(all) > maxKeys {
			return nil, nil, fmt.Errorf("the set holds %d keys: more than %d are not read", len(all), maxKeys)
		}
		for _, raw := range all {
			add(parseKey(raw))
		}
	case len(object) > maxKeys:
		return nil, nil, fmt.Errorf("the answer holds %d certificates: more than %d are not read", len(object), maxKeys)
	default:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			var text string
			if json.Unmarshal(object[name], &text) != nil || !strings.Contains(text, "-----BEGIN ") {
				return nil, nil, errors.New("the answer is no JSON Web Key Set: it has no list of keys, and is no object of PEM certificates")
			}
			add(parseCertificate(name, text))
		}
	}
	if len(keys) == 0 {
		return nil, unused, errors.New("the set holds no public key for signatures" + describeUnused(unused))
	}
	return keys, unused, nil
}

// describeUnused lists the first three keys and their reasons, for an error.
func describeUnused(unused []UnusedKey) string {
	var b strings.Builder
	for i, key := range unused {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(unused)-i)
			break
		}
		fmt.Fprintf(&b, "; %q: %s", key.KeyID, key.Reason)
	}
	return b.String()
}

// publicMembers are the members of a key that verifying needs (RFC 7518 section 6,
// RFC 8037). Others, such as certificates (`x5c`) and their digests, are not read:
// issuers publish some with negative serial numbers, and in the wrong alphabet.
var publicMembers = []string{"kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e"}

// privateMembers are the members of private keys and secrets, which must not be
// published.
var privateMembers = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"}

// parseKey reads one key of a set. reason is empty if it can be used.
func parseKey(raw []byte) (name string, key jose.JSONWebKey, reason string, intended bool) {
	members, err := strictjson.Members(raw)
	if err != nil {
		return "", key, err.Error(), false
	}
	_ = json.Unmarshal(members["kid"], &name)
	var use string
	var operations []string
	_ = json.Unmarshal(members["use"], &use)
	_ = json.Unmarshal(members["key_ops"], &operations)
	for _, member := range privateMembers {
		if _, ok := members[member]; ok {
			return name, key, "it is a private key or a secret: whoever can read the set can sign sessions; replace the key at the issuer", false
		}
	}
	switch {
	case use != "" && use != "sig":
		return name, key, "it is for another use than signatures", true
	case len(operations) > 0 && !slices.Contains(operations, "verify"):
		return name, key, "it is for another operation than to verify", true
	}
	maps.DeleteFunc(members, func(member string, _ json.RawMessage) bool { return !slices.Contains(publicMembers, member) })
	delete(members, "key_ops")
	plain, err := json.Marshal(members)
	switch err2 := key.UnmarshalJSON(plain); {
	case err != nil, errors.Is(err2, jose.ErrUnsupportedKeyType):
		return name, key, "its type (kty, crv) is not known here", false
	case err2 != nil: // which may quote it
		return name, key, "it cannot be read: a member is missing or malformed, or its curve is not known here", false
	case !key.IsPublic():
		return name, key, "it is no public key", false
	case len(key.KeyID) > maxKeyID:
		return name, key, "its name (kid) is too long", false
	}
	return name, key, "", false
}

// parseCertificate reads the PEM certificate of a `kid`, or a public key in its
// place. reason is empty if it can be used.
func parseCertificate(name, text string) (_ string, key jose.JSONWebKey, reason string, intended bool) {
	block, _ := pem.Decode(delegation.NormalizePEM(text))
	if block == nil {
		return name, key, "it is no PEM block", false
	}
	public, err := publicKey(block)
	if err != nil {
		return name, key, "it is no certificate or public key that can be read", false
	}
	return name, jose.JSONWebKey{Key: public, KeyID: name, Use: "sig"}, "", false
}
