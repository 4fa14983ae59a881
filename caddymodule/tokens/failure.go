// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

// refusedPause is how long an issuer's decision about one identity is
// believed.
const refusedPause = 30 * time.Second

// rememberedRefusal is a refusal for which nobody was asked.
type rememberedRefusal struct{ error }

func (r rememberedRefusal) Unwrap() error { return r.error }

// nestedFailure is a failure of a mint that another mint had asked for. It is no
// second failure.
type nestedFailure struct{ error }

func (c nestedFailure) Unwrap() error { return c.error }

func isError[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// failures remembers for a short time why there is no token for an identity.
type failures struct {
	store *memory.Cache[delegation.Person, failure]
}

type failure struct {
	person  delegation.Person
	refusal *delegation.Refusal
	until   time.Time
	count   int // in a row
}

// lookup returns the refusal that is remembered for a key, if there is one.
func (f *failures) lookup(key string, who delegation.Person) *delegation.Refusal {
	now := time.Now()
	last, ok := f.store.Get(who, key, now)
	if !ok || !now.Before(last.until) {
		return nil
	}
	return blame.Repeat(last.refusal, last.until.Sub(now))
}

// record remembers a refusal and returns until when.
func (f *failures) record(key string, who delegation.Person, r *delegation.Refusal) time.Time {
	last, _, _ := f.store.Peek(f.store.Ref(who, key))
	count := last.count + 1
	d := refusedPause
	if blame.VerdictOf(r).ConcernsService() {
		d = blame.RetryDelay(r, count)
	}
	until := time.Now().Add(d)
	f.store.Set(who, key, failure{who, r, until, count}, d+blame.FailureLife, false)
	return until
}
