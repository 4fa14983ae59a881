// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// DefaultRemoteTimeout bounds a call about a session.
	DefaultRemoteTimeout = 5 * time.Second

	// refusedLife is how long the refusal of a credential is remembered. A user who
	// signs in and keeps the session's name waits for as long.
	refusedLife = 10 * time.Second

	// failedLife is how long the failure of a call is remembered, unless the answer
	// asks for more by Retry-After.
	failedLife = time.Second

	// maxRefused is how many refused credentials are remembered.
	maxRefused = 10_000
)

// RemoteVerifier limits the calls of a verifier that asks a server ([Introspection],
// [Endpoint]): one for all requests that have the same credential at the same time,
// none shortly after a refusal, few at once, and none while the server does not
// answer. It implements [Verifier] and remembers no sessions: see [Cache].
//
// An answer about a credential counts for that credential alone. Calls without an
// answer are counted by the persons for whom they were made: see [circuit.Breaker].
type RemoteVerifier struct {
	// ClientNetwork tells where a request comes from, by its context: see
	// [ClientNetwork]. Default: all come from one network.
	ClientNetwork func(context.Context) netip.Prefix

	verifier    Verifier
	timeout     time.Duration
	unknownLane lane // for credentials that were not valid before
	seenLane    lane // for the others
	seen        *seenCredentials
	networks    networkReputations
	refused     *lru.Cache[digest, cachedRefusal] // apart from sessions, which forgeries must not push out
	breaker     *circuit.Breaker
	hasher      *credentialHasher
}

// cachedRefusal is the remembered refusal of a credential.
type cachedRefusal struct {
	*delegation.Refusal
	until      time.Time
	unanswered int // calls in a row without an answer
}

// NewRemoteVerifier returns a RemoteVerifier for v, whose calls it ends after the
// timeout; 0 is [DefaultRemoteTimeout].
func NewRemoteVerifier(v Verifier, timeout time.Duration) *RemoteVerifier {
	if timeout <= 0 {
		timeout = DefaultRemoteTimeout
	}
	return &RemoteVerifier{
		ClientNetwork: func(context.Context) netip.Prefix { return netip.Prefix{} },
		verifier:      v,
		timeout:       timeout,
		unknownLane:   newLane(unknownLimits, timeout),
		seenLane:      newLane(seenLimits, timeout),
		seen:          newSeenCredentials(),
		networks:      newNetworkReputations(),
		refused:       lru.New[digest, cachedRefusal](maxRefused),
		breaker:       circuit.NewBreaker(),
		hasher:        newCredentialHasher(),
	}
}

// remoteCall is a call about a credential.
type remoteCall struct {
	digest     digest
	credential Credential
	caller     queueOwner
	owner      circuit.Owner
}

// Verify implements [Verifier].
func (v *RemoteVerifier) Verify(ctx context.Context, credential Credential) (*Session, error) {
	call := &remoteCall{digest: v.hasher.digest(credential), credential: credential}
	if r, ok := v.refused.Get(call.digest, string(call.digest[:]), time.Now()); ok && !time.Now().After(r.until) {
		if r.Code == delegation.SessionUnavailable {
			return nil, circuit.Repeat(r.Refusal, time.Until(r.until))
		}
		return nil, r.Refusal
	}
	l := &v.unknownLane
	if who, ok := v.seen.person(call.digest); ok {
		l, call.caller, call.owner = &v.seenLane, queueOwner{person: who}, circuit.KnownPerson(who)
	} else {
		call.caller, call.owner = queueOwner{network: v.ClientNetwork(ctx)}, circuit.Unverified
	}
	s, err := l.flights.Do(ctx, string(call.digest[:]), call.digest, func(ctx context.Context) (*Session, error) {
		return v.callInTurn(ctx, l, call)
	})
	if err == nil {
		return s, nil
	}
	if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code != delegation.Overloaded {
		return nil, r
	}
	return nil, unavailable(err) // too many wait, or the client has gone
}

// callInTurn calls the verifier when it is the turn of the credential, and learns from
// the outcome.
func (v *RemoteVerifier) callInTurn(ctx context.Context, l *lane, call *remoteCall) (*Session, error) {
	permit, r := v.breaker.Allow(call.owner)
	if r != nil {
		return nil, r
	}
	defer func() { v.breaker.Release(permit) }()
	// A probe of the breaker does not queue: those who wait may be the reason why
	// there were no answers. The breaker allows few at once.
	if !permit.IsProbe() {
		leave, err := v.acquire(ctx, l, call)
		if err != nil {
			return nil, unavailable(errors.New("too many sessions are being asked about"))
		}
		defer leave()
		if permit, r = v.breaker.Allow(call.owner); r != nil { // much may have failed while it queued
			return nil, r
		}
	}
	begun := time.Now()
	s, err := v.verifier.Verify(ctx, call.credential)
	if err != nil && ctx.Err() != nil && time.Since(begun) < v.timeout/2 {
		return nil, unavailable(errors.New("too many sessions are being asked about: little time was left for this one"))
	}
	unverified := call.owner == circuit.Unverified
	if !unverified {
		v.seen.recordAnswer(call.caller.person, err == nil || !breakerVerdict(err).ConcernsService())
	}
	if err != nil {
		if unverified {
			v.networks.recordRefused(call.caller.network)
		}
		return nil, v.recordFailure(permit, call, err)
	}
	v.breaker.Record(permit, call.owner, circuit.Healthy())
	v.refused.Delete(call.digest, string(call.digest[:]))
	// One person's sessions prove few networks: they can be sent from any number.
	if over := v.seen.add(call.digest, s.person(s.Realm)); unverified && !over {
		v.networks.recordValid(call.caller.network)
	}
	return s, nil
}

// recordFailure records a call that led to no session, and returns the refusal of its
// credential.
func (v *RemoteVerifier) recordFailure(permit circuit.Permit, call *remoteCall, err error) *delegation.Refusal {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if !ok {
		r = unavailable(err)
	}
	name, now, verdict := string(call.digest[:]), time.Now(), breakerVerdict(r)
	life, silent := max(failedLife, min(r.RetryAfter, delegation.MaxRetryAfter)), 0
	switch {
	case r.Code == delegation.SessionRequired:
		life = refusedLife
	case verdict.ConcernsService():
		// The server may hang for this credential for ever, each time in a slot.
		last, _ := v.refused.Get(call.digest, name, now)
		silent = last.unanswered + 1
		life = max(life, circuit.Backoff(silent))
	}
	v.breaker.Record(permit, call.owner, verdict)
	keep := life
	if silent > 0 {
		keep += time.Minute
	}
	v.refused.Set(call.digest, name, cachedRefusal{r, now.Add(life), silent}, keep, false)
	return r
}

// breakerVerdict returns the verdict of a call that led to no session.
func breakerVerdict(err error) circuit.Verdict {
	r, ok := errors.AsType[*delegation.Refusal](err)
	if f, ok := errors.AsType[*callError](err); ok {
		return f.verdict(r)
	}
	if ok && r.Code == delegation.SessionRequired {
		return circuit.Healthy()
	}
	return circuit.CredentialFault()
}
