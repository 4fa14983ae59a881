// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	// DefaultAskTimeout bounds a question about a session.
	DefaultAskTimeout = 5 * time.Second

	// maxAsking is how many questions are under way at once: who is asked has
	// the app's own users to serve. maxKnown are as many more for sessions that
	// were good a while ago: strangers must not keep them from being asked
	// about again.
	maxAsking = 24
	maxKnown  = 8

	// knownLife is how long a session counts as good a while ago.
	knownLife = time.Hour

	maxWaiting           = 1000
	maxWaitingPerSession = 50

	// refusedLife is how long a credential that is worth nothing is not asked
	// about again. Who signs in and keeps the session's name waits for as long.
	refusedLife = 10 * time.Second

	// failedLife is the same for one that could not be asked about.
	failedLife = time.Second

	maxRefused = 10_000
)

// Asked keeps a verifier that has to ask somebody else ([Introspection],
// [Endpoint]) from asking too much: once for all requests that carry the same
// credential at the same time, not again a moment after a refusal, not much at
// once, and not while nobody answers. It does not remember sessions: that is
// what a [Cache] around it is for. It implements [Verifier].
type Asked struct {
	verifier Verifier
	timeout  time.Duration
	strange  way                                        // for credentials that were not good yet
	known    way                                        // for the others
	good     *memory.Store[digest, struct{}]            // which these are
	refused  *memory.Store[digest, *delegation.Refusal] // of their own so that forgeries push no session out
	breaker  *tokens.Breaker[digest]
	digests  *digests
}

// way is how a question gets to who is asked.
type way struct {
	flights *flight.Group[digest, *Session]
	slots   chan struct{}
}

func newWay(slots int, timeout time.Duration) way {
	return way{
		flights: flight.New[digest, *Session](flight.Limits{Timeout: timeout, Waiting: maxWaiting, PerOwner: maxWaitingPerSession}),
		slots:   make(chan struct{}, slots),
	}
}

// NewAsked returns one for a verifier that may take the timeout to answer; 0 is
// [DefaultAskTimeout].
func NewAsked(v Verifier, timeout time.Duration) *Asked {
	if timeout <= 0 {
		timeout = DefaultAskTimeout
	}
	return &Asked{
		verifier: v,
		timeout:  timeout,
		strange:  newWay(maxAsking, timeout),
		known:    newWay(maxKnown, timeout),
		good:     memory.New[digest, struct{}](maxSessions),
		refused:  memory.New[digest, *delegation.Refusal](maxRefused),
		breaker:  tokens.NewBreaker[digest](),
		digests:  newDigests(),
	}
}

// Verify implements [Verifier].
func (a *Asked) Verify(ctx context.Context, credential Credential) (*Session, error) {
	sum := a.digests.of(credential)
	name := string(sum[:])
	if r, ok := a.refused.Get(sum, name, time.Now()); ok {
		return nil, r
	}
	_, known := a.good.Get(sum, name, time.Now())
	w := &a.strange
	if known {
		w = &a.known
	}
	s, err := w.flights.Do(ctx, name, sum, func(ctx context.Context) (*Session, error) {
		return a.ask(ctx, w, sum, credential)
	})
	if err == nil {
		return s, nil
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code != delegation.Overloaded {
		return nil, r
	}
	return nil, unavailable(err) // too many are waiting, or this one has gone
}

// ask asks when it is its turn.
func (a *Asked) ask(ctx context.Context, w *way, sum digest, credential Credential) (*Session, error) {
	pass, r := a.breaker.Enter()
	if r != nil {
		return nil, r
	}
	defer func() { a.breaker.Leave(pass) }()
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return nil, unavailable(errors.New("too many sessions are being asked about"))
	}
	if pass == 0 { // much may have failed while it queued
		if pass, r = a.breaker.Enter(); r != nil {
			return nil, r
		}
	}
	begun := time.Now()
	s, err := a.verifier.Verify(ctx, credential)
	if err == nil {
		a.breaker.Succeed()
		a.good.Set(sum, string(sum[:]), struct{}{}, knownLife, false)
		return s, nil
	}
	if ctx.Err() != nil && time.Since(begun) < a.timeout/2 {
		return nil, unavailable(errors.New("too many sessions are being asked about: little time was left for this one"))
	}
	return nil, a.judge(pass, sum, err, w == &a.known)
}

// judge learns from a question that led to no session. Of a stranger's only
// that nobody answers: whatever is answered may be about the credential, and
// anybody can send one.
func (a *Asked) judge(pass tokens.Pass, sum digest, err error, known bool) *delegation.Refusal {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if !ok {
		r = unavailable(err)
	}
	life := failedLife
	if o, down := errors.AsType[outage](err); down && (known || o.silent()) {
		a.breaker.Fail(pass, sum, r)
	} else if r.Code == delegation.SessionRequired {
		life = refusedLife
		a.breaker.Succeed()
	}
	a.refused.Set(sum, string(sum[:]), r, life, false)
	return r
}
