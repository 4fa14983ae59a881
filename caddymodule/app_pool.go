// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// pool holds what has to outlive a reload: tokens, lookups, quotas, the keys of
// an issuer of sessions. Its keys name the settings that matter, so that
// changed settings make the old entries unreachable and leave others' warm.
var pool = caddy.NewUsagePool()

// poolRefs are keys in the pool, each to be given back once.
type poolRefs []string

// loadOrNew finds or makes what the pool holds.
func (t *poolRefs) loadOrNew(key string, build func() caddy.Destructor) any {
	// build fails by a panic alone, which must not leave the pool with a lock
	// that the next reload waits for.
	value, _, err := pool.LoadOrNew(key, func() (made caddy.Destructor, err error) {
		defer background.Recover("making what outlives a reload", &err)
		return build(), nil
	})
	if err != nil {
		panic(err)
	}
	*t = append(*t, key)
	return value
}

// release gives back what was taken.
func (t *poolRefs) release() error {
	var errs []error
	for _, key := range slices.Backward(*t) { // what was taken later may use what was taken before
		_, err := pool.Delete(key)
		errs = append(errs, err)
	}
	*t = nil
	return errors.Join(errs...)
}
