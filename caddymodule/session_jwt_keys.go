// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// sessionKeys are the keys of a SessionJWT.
type sessionKeys struct {
	set      jwks.KeySet
	names    []string                  // tell them from other keys; secrets among them
	fitting  []jose.SignatureAlgorithm // those that `algorithms` may name
	defaults []jose.SignatureAlgorithm // those without `algorithms`
}

// loadKeys returns the keys of the configuration, or those at the address, which are not
// fetched yet.
func (j *SessionJWT) loadKeys(repl *caddy.Replacer, http *HTTP, refs *poolRefs, check addressCheck) (keys sessionKeys, err error) {
	switch {
	case j.JWKS != "":
		keys.set, keys.names, err = j.poolRemoteKeySet(repl, http, refs, check)
		keys.fitting, keys.defaults = jwks.AsymmetricAlgorithms, jwks.AsymmetricAlgorithms
	case len(j.PublicKeys) > 0:
		keys.names = make([]string, len(j.PublicKeys))
		for i, setting := range j.PublicKeys {
			if keys.names[i], err = expandSecret(repl, setting); err != nil {
				return keys, fmt.Errorf("public_key: %w", err)
			}
		}
		keys.set, keys.fitting, err = jwks.ParsePublicKeys(keys.names...)
		keys.defaults = keys.fitting
	default:
		keys.names = make([]string, len(j.HMACSecrets))
		for i, setting := range j.HMACSecrets {
			if keys.names[i], err = readSecret(repl, "hmac_secret", setting); err != nil {
				return keys, err
			}
		}
		keys.set, err = jwks.NewSharedSecrets(keys.names...)
		keys.fitting, keys.defaults = jwks.SymmetricAlgorithms, jwks.SymmetricAlgorithms[:1]
	}
	if err != nil {
		return keys, fmt.Errorf("%s: %w", j.keySource(), err)
	}
	return keys, nil
}

// pooledKeySet is an issuer's key set, as reloads share it: a reload does not fetch the keys
// again, because the issuer may be down just then.
type pooledKeySet struct{ *jwks.RemoteKeySet }

// Destruct runs when no configuration uses the keys any more.
func (k pooledKeySet) Destruct() error { return k.Close() }

// poolRemoteKeySet returns the key set of an address, from the pool or a new one, and the
// names that tell it from others.
func (j *SessionJWT) poolRemoteKeySet(repl *caddy.Replacer, http *HTTP, refs *poolRefs, check addressCheck) (jwks.KeySet, []string, error) {
	address, err := expandSetting(repl, j.JWKS)
	if err != nil {
		return nil, nil, err
	}
	if err := check("jwks", address); err != nil {
		return nil, nil, err
	}
	settings, err := http.settings(repl)
	if err != nil {
		return nil, nil, err
	}
	connection, err := http.fingerprint(repl)
	if err != nil {
		return nil, nil, err
	}
	names := append([]string{address}, connection...)
	pooled := refs.loadOrNew("keys\x00"+delegation.Fingerprint(names), func() caddy.Destructor {
		keys := jwks.NewRemoteKeySet(address, settings.Client())
		keys.ClientNetwork, keys.Report = requestNetwork, logUnusedKeys
		return pooledKeySet{keys}
	})
	return pooled.(pooledKeySet), names, nil
}

// maxLoggedKeys is how many keys one line of the log names.
const maxLoggedKeys = 10

// logUnusedKeys logs the keys of a set that are not used, in one line: a warning if one
// of them should be. The keys themselves are not logged.
func logUnusedKeys(address string, unused []jwks.UnusedKey) {
	log, message := caddy.Log().Named("delegate").Info, "some keys of the issuer are not used: they are for something else"
	var keys []string
	for i, key := range unused {
		if !key.Intended {
			log, message = caddy.Log().Named("delegate").Warn, "some keys of the issuer cannot be used: sessions that they sign are refused"
		}
		if i < maxLoggedKeys {
			keys = append(keys, fmt.Sprintf("%q: %s", key.KeyID, key.Reason))
		}
	}
	if more := len(unused) - maxLoggedKeys; more > 0 {
		keys = append(keys, fmt.Sprintf("and %d more", more))
	}
	log(message, zap.String("jwks", address), zap.Strings("keys", keys))
}
