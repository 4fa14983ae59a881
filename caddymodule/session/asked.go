// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// DefaultRemoteTimeout bounds a question about a session.
	DefaultRemoteTimeout = 5 * time.Second

	// refusedLife is how long a credential that is worth nothing is not asked
	// about again. Who signs in and keeps the session's name waits for as long.
	refusedLife = 10 * time.Second

	// failedLife is the same for one that could not be asked about, if no
	// answer asks for more.
	failedLife = time.Second

	maxRefused = 10_000
)

// RemoteVerifier keeps a verifier that has to ask somebody else ([Introspection],
// [Endpoint]) from asking too much: once for all requests that carry the same
// credential at the same time, not again a moment after a refusal, not much at
// once, and not while nobody answers. It does not remember sessions: that is
// what a [Cache] around it is for. It implements [Verifier].
//
// What is answered about a credential is remembered for it alone. Of silence,
// the people are counted for whom there was none: see [circuit.Breaker].
type RemoteVerifier struct {
	// ClientAddress tells whose turn it is. Nil: everybody comes from one address.
	ClientAddress ClientAddress

	verifier    Verifier
	timeout     time.Duration
	unknownLane lane // for credentials that were not valid yet
	seenLane    lane // for the others
	seen        *seenCredentials
	networks    networkReputations
	refused     *lru.Cache[digest, cachedRefusal] // of their own so that forgeries push no session out
	breaker     *circuit.Breaker
	hasher      *credentialHasher
}

// cachedRefusal is what is remembered of a credential.
type cachedRefusal struct {
	*delegation.Refusal
	until      time.Time
	unanswered int // questions in a row to which there was no answer
}

// NewRemoteVerifier returns one for a verifier that may take the timeout to answer; 0 is
// [DefaultAskTimeout].
func NewRemoteVerifier(v Verifier, timeout time.Duration) *RemoteVerifier {
	if timeout <= 0 {
		timeout = DefaultRemoteTimeout
	}
	return &RemoteVerifier{
		verifier:    v,
		timeout:     timeout,
		unknownLane: newLane(unknownLimits, timeout),
		seenLane:    newLane(seenLimits, timeout),
		seen:        newSeenCredentials(),
		networks:    newNetworkReputations(),
		refused:     lru.New[digest, cachedRefusal](maxRefused),
		breaker:     circuit.NewBreaker(),
		hasher:      newCredentialHasher(),
	}
}

// remoteCall is one about a credential.
type remoteCall struct {
	digest     digest
	credential Credential
	caller     queueOwner
	owner      circuit.Owner
}

// Verify implements [Verifier].
func (a *RemoteVerifier) Verify(ctx context.Context, credential Credential) (*Session, error) {
	q := &remoteCall{digest: a.hasher.digest(credential), credential: credential}
	if r, ok := a.refused.Get(q.digest, string(q.digest[:]), time.Now()); ok && !time.Now().After(r.until) {
		if r.Code == delegation.SessionUnavailable {
			return nil, circuit.Repeat(r.Refusal, time.Until(r.until))
		}
		return nil, r.Refusal
	}
	w := &a.unknownLane
	if who, ok := a.seen.person(q.digest); ok {
		w, q.caller, q.owner = &a.seenLane, queueOwner{person: who}, circuit.KnownPerson(who)
	} else {
		q.caller, q.owner = queueOwner{network: a.ClientAddress.network(ctx)}, circuit.Unverified
	}
	s, err := w.flights.Do(ctx, string(q.digest[:]), q.digest, func(ctx context.Context) (*Session, error) {
		return a.callInTurn(ctx, w, q)
	})
	if err == nil {
		return s, nil
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code != delegation.Overloaded {
		return nil, r
	}
	return nil, unavailable(err) // too many are waiting, or this one has gone
}

// callInTurn asks when it is its turn.
func (a *RemoteVerifier) callInTurn(ctx context.Context, w *lane, q *remoteCall) (*Session, error) {
	pass, r := a.breaker.Allow(q.owner)
	if r != nil {
		return nil, r
	}
	defer func() { a.breaker.Release(pass) }()
	// Who finds out whether there are answers again does not queue: those who
	// wait for theirs may be the reason why there were none. The breaker lets
	// few do so at once.
	if !pass.IsProbe() {
		leave, err := a.acquire(ctx, w, q)
		if err != nil {
			return nil, unavailable(errors.New("too many sessions are being asked about"))
		}
		defer leave()
		if pass, r = a.breaker.Allow(q.owner); r != nil { // much may have failed while it queued
			return nil, r
		}
	}
	begun := time.Now()
	s, err := a.verifier.Verify(ctx, q.credential)
	if err != nil && ctx.Err() != nil && time.Since(begun) < a.timeout/2 {
		return nil, unavailable(errors.New("too many sessions are being asked about: little time was left for this one"))
	}
	stranger := q.owner == circuit.Unverified
	if !stranger {
		a.seen.recordAnswer(q.caller.person, err == nil || !verdictOf(err).ConcernsService())
	}
	if err != nil {
		if stranger {
			a.networks.recordRefused(q.caller.network)
		}
		return nil, a.recordFailure(pass, q, err)
	}
	a.breaker.Record(pass, q.owner, circuit.Healthy())
	a.refused.Delete(q.digest, string(q.digest[:]))
	// One person's sessions are worth few addresses: any number can be sent from.
	if over := a.seen.add(q.digest, s.person(s.Realm)); stranger && !over {
		a.networks.recordValid(q.caller.network)
	}
	return s, nil
}

// recordFailure learns from a question that led to no session.
func (a *RemoteVerifier) recordFailure(pass circuit.Permit, q *remoteCall, err error) *delegation.Refusal {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if !ok {
		r = unavailable(err)
	}
	name, now, verdict := string(q.digest[:]), time.Now(), verdictOf(r)
	life, silent := max(failedLife, min(r.RetryAfter, delegation.MaxRetryAfter)), 0
	switch {
	case r.Code == delegation.SessionRequired:
		life = refusedLife
	case verdict.ConcernsService():
		// Who is asked may hang for this one for ever, each time in a slot.
		last, _ := a.refused.Get(q.digest, name, now)
		silent = last.unanswered + 1
		life = max(life, circuit.Backoff(silent))
	}
	a.breaker.Record(pass, q.owner, verdict)
	keep := life
	if silent > 0 {
		keep += time.Minute
	}
	a.refused.Set(q.digest, name, cachedRefusal{r, now.Add(life), silent}, keep, false)
	return r
}

// verdictOf tells whom a question is about that led to no session.
func verdictOf(err error) circuit.Verdict {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if f, ok := errors.AsType[*callError](err); ok {
		return f.verdict(r)
	}
	if ok && r.Code == delegation.SessionRequired {
		return circuit.Healthy()
	}
	return circuit.CredentialFault()
}
