// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

// refusedPause is how long an issuer's decision about one identity is
// remembered.
const refusedPause = 30 * time.Second

// rememberedRefusal is a refusal that was returned from memory: the issuer was
// not asked.
type rememberedRefusal struct{ error }

// Unwrap returns the refusal.
func (r rememberedRefusal) Unwrap() error { return r.error }

// nestedFailure is the failure of a mint that another mint had asked for. It is
// recorded already and does not count twice.
type nestedFailure struct{ error }

// Unwrap returns the failure.
func (f nestedFailure) Unwrap() error { return f.error }

func isError[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// failures remembers for a short time why there is no token for an identity.
type failures struct {
	store *lru.Cache[delegation.Person, failure]
}

// failure is the latest failure of one identity.
type failure struct {
	person  delegation.Person
	refusal *delegation.Refusal
	until   time.Time // until when it is repeated instead of asking the issuer
	count   int       // failures in a row
}

// lookup returns the refusal to repeat for a key, or nil. Its RetryAfter is
// what is left of the pause.
func (f *failures) lookup(key string, person delegation.Person) *delegation.Refusal {
	now := time.Now()
	last, ok := f.store.Get(person, key, now)
	if !ok || !now.Before(last.until) {
		return nil
	}
	return circuit.Repeat(last.refusal, last.until.Sub(now))
}

// record remembers a refusal and returns until when it is repeated. The pause
// grows with failures in a row; a decision about the identity has a fixed one.
func (f *failures) record(key string, person delegation.Person, r *delegation.Refusal) time.Time {
	last, _ := f.store.Peek(person, key)
	count := last.count + 1
	pause := refusedPause
	if circuit.VerdictOf(r).ConcernsService() {
		pause = circuit.RetryDelay(r, count)
	}
	until := time.Now().Add(pause)
	f.store.Set(person, key, failure{person, r, until, count}, pause+circuit.FailureLife, false)
	return until
}
