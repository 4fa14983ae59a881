// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// pool holds what outlives a reload: token engines, look-ups, quotas, the
// grants, the connection to Redis, the keys that sessions are verified by. A key
// names the settings that its value depends on, so that changed settings reach
// no old value, and unchanged ones keep theirs.
var pool = caddy.NewUsagePool()

// poolRefs are the keys in the pool that one owner holds a reference of. Each
// is released once.
type poolRefs []string

// loadOrNew returns the value of a key, made by build if nobody holds it. A
// panic of build goes on to the caller.
func (p *poolRefs) loadOrNew(key string, build func() caddy.Destructor) any {
	value, err := p.tryLoadOrNew(key, func() (caddy.Destructor, error) { return build(), nil })
	if err != nil {
		panic(err) // a *background.Panic: build returns no error
	}
	return value
}

// tryLoadOrNew returns the value of a key, made by build if nobody holds it.
// The error is build's, or its panic: that must not pass through the pool, which
// would stay locked, and every later reload would wait for it.
func (p *poolRefs) tryLoadOrNew(key string, build func() (caddy.Destructor, error)) (any, error) {
	value, _, err := pool.LoadOrNew(key, func() (made caddy.Destructor, err error) {
		defer background.Recover("making what outlives a reload", &err)
		return build()
	})
	if err != nil {
		return nil, err
	}
	*p = append(*p, key)
	return value, nil
}

// release gives all references back, the last one first: a value may use those
// that were loaded before it.
func (p *poolRefs) release() error {
	var errs []error
	for _, key := range slices.Backward(*p) {
		_, err := pool.Delete(key)
		errs = append(errs, err)
	}
	*p = nil
	return errors.Join(errs...)
}
