// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// DefaultAskTimeout bounds a question about a session.
	DefaultAskTimeout = 5 * time.Second

	// refusedLife is how long a credential that is worth nothing is not asked
	// about again. Who signs in and keeps the session's name waits for as long.
	refusedLife = 10 * time.Second

	// failedLife is the same for one that could not be asked about, if no
	// answer asks for more.
	failedLife = time.Second

	maxRefused = 10_000
)

// Asked keeps a verifier that has to ask somebody else ([Introspection],
// [Endpoint]) from asking too much: once for all requests that carry the same
// credential at the same time, not again a moment after a refusal, not much at
// once, and not while nobody answers. It does not remember sessions: that is
// what a [Cache] around it is for. It implements [Verifier].
//
// What is answered about a credential is remembered for it alone. Of silence,
// the people are counted for whom there was none: see [blame.Breaker].
type Asked struct {
	// Client tells whose turn it is. Nil: everybody comes from one address.
	Client Client

	verifier Verifier
	timeout  time.Duration
	unknown  lane // for credentials that were not valid yet
	known    lane // for the others
	seen     *seen
	clients  reputations
	refused  *memory.Store[digest, refusal] // of their own so that forgeries push no session out
	breaker  *blame.Breaker
	digests  *digests
}

// refusal is what is remembered of a credential.
type refusal struct {
	*delegation.Refusal
	until  time.Time
	silent int // questions in a row to which there was no answer
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
		unknown:  newLane(unknownLimits, timeout),
		known:    newLane(knownLimits, timeout),
		seen:     newSeen(),
		clients:  newReputations(),
		refused:  memory.New[digest, refusal](maxRefused),
		breaker:  blame.NewBreaker(),
		digests:  newDigests(),
	}
}

// question is one about a credential.
type question struct {
	sum        digest
	credential Credential
	by         place
	owner      blame.Owner
}

// Verify implements [Verifier].
func (a *Asked) Verify(ctx context.Context, credential Credential) (*Session, error) {
	q := &question{sum: a.digests.of(credential), credential: credential}
	if r, ok := a.refused.Get(q.sum, string(q.sum[:]), time.Now()); ok && !time.Now().After(r.until) {
		if r.Code == delegation.SessionUnavailable {
			return nil, blame.Again(r.Refusal, time.Until(r.until))
		}
		return nil, r.Refusal
	}
	w := &a.unknown
	if who, ok := a.seen.person(q.sum); ok {
		w, q.by, q.owner = &a.known, place{person: who}, blame.Known(who)
	} else {
		q.by, q.owner = place{client: a.Client.of(ctx)}, blame.Strangers
	}
	s, err := w.flights.Do(ctx, string(q.sum[:]), q.sum, func(ctx context.Context) (*Session, error) {
		return a.ask(ctx, w, q)
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
func (a *Asked) ask(ctx context.Context, w *lane, q *question) (*Session, error) {
	pass, r := a.breaker.Enter(q.owner)
	if r != nil {
		return nil, r
	}
	defer func() { a.breaker.Leave(pass) }()
	// Who finds out whether there are answers again does not queue: those who
	// wait for theirs may be the reason why there were none. The breaker lets
	// few do so at once.
	if !pass.Probe() {
		leave, err := a.acquire(ctx, w, q)
		if err != nil {
			return nil, unavailable(errors.New("too many sessions are being asked about"))
		}
		defer leave()
		if pass, r = a.breaker.Enter(q.owner); r != nil { // much may have failed while it queued
			return nil, r
		}
	}
	begun := time.Now()
	s, err := a.verifier.Verify(ctx, q.credential)
	if err != nil && ctx.Err() != nil && time.Since(begun) < a.timeout/2 {
		return nil, unavailable(errors.New("too many sessions are being asked about: little time was left for this one"))
	}
	stranger := q.owner == blame.Strangers
	if !stranger {
		a.seen.answered(q.by.person, err == nil || !verdictOf(err).OfService())
	}
	if err != nil {
		if stranger {
			a.clients.worthless(q.by.client)
		}
		return nil, a.judge(pass, q, err)
	}
	a.breaker.Record(pass, q.owner, blame.Well())
	a.refused.Delete(q.sum, string(q.sum[:]))
	// One person's sessions are worth few addresses: any number can be sent from.
	if over := a.seen.add(q.sum, s.person(s.Realm)); stranger && !over {
		a.clients.valid(q.by.client)
	}
	return s, nil
}

// judge learns from a question that led to no session.
func (a *Asked) judge(pass blame.Pass, q *question, err error) *delegation.Refusal {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if !ok {
		r = unavailable(err)
	}
	name, now, verdict := string(q.sum[:]), time.Now(), verdictOf(r)
	life, silent := max(failedLife, min(r.RetryAfter, delegation.MaxRetryAfter)), 0
	switch {
	case r.Code == delegation.SessionRequired:
		life = refusedLife
	case verdict.OfService():
		// Who is asked may hang for this one for ever, each time in a slot.
		last, _ := a.refused.Get(q.sum, name, now)
		silent = last.silent + 1
		life = max(life, blame.Backoff(silent))
	}
	a.breaker.Record(pass, q.owner, verdict)
	keep := life
	if silent > 0 {
		keep += time.Minute
	}
	a.refused.Set(q.sum, name, refusal{r, now.Add(life), silent}, keep, false)
	return r
}

// verdictOf tells whom a question is about that led to no session.
func verdictOf(err error) blame.Verdict {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if f, ok := errors.AsType[*failure](err); ok {
		return f.verdict(r)
	}
	if ok && r.Code == delegation.SessionRequired {
		return blame.Well()
	}
	return blame.Credential()
}
