// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// KeyRefreshInterval is the age at which keys are fetched anew in the
	// background. A session that one of them has signed must not be remembered
	// for longer.
	KeyRefreshInterval = time.Hour

	// keysMaxAge is the age at which keys are no longer used: a key that the
	// issuer has withdrawn must not be trusted for ever because the issuer cannot
	// be reached.
	keysMaxAge = 24 * time.Hour

	// keyFetchInterval is the time between two fetches, on average; keyFetchBurst
	// may follow each other. Anybody can send tokens that no key has signed.
	keyFetchInterval = 10 * time.Second
	keyFetchBurst    = 3

	// unverifiedLife is how long the arrival of a token is remembered that no key
	// had signed: until its user's app has tried again after a pause, and not much
	// longer, as an issuer may publish a key after it has signed with it.
	unverifiedLife = 3 * keyFetchInterval
	maxUnverified  = 10_000

	// maxWaiting and maxWaitingPerClient bound the requests that wait for one
	// fetch: anybody can send a token that names an unknown key.
	maxWaiting          = 10_000
	maxWaitingPerClient = 1000
)

// RemoteKeySet holds the keys that an issuer publishes at an https address, as a
// JSON Web Key Set (RFC 7517 section 5) or as certificates by their names. It
// implements [KeySet]. The keys are fetched when the first token is verified, when
// a token comes that none of them has signed, and every [KeyRefreshInterval]. While
// the issuer cannot be reached the last ones are used, for a day at most. A
// RemoteKeySet has no goroutine of its own.
//
// It is our own because of what MicahParks/jwkset v0.11 did with the same input: 3
// of 7 sets with an unusable key beside a good one were refused whole, private keys
// and secrets were taken, Firebase's certificates gave an empty set without an
// error, an endless answer was read to its end (64 of 64 MiB), and 997 of 1000
// requests with unknown keys failed at its rate limit.
type RemoteKeySet struct {
	// ClientNetwork tells where a request comes from, by its context: how many of
	// one network may wait for a fetch is bounded. Default: all come from one.
	ClientNetwork func(context.Context) netip.Prefix

	// Report is called with the keys of the set that are not used, when these have
	// changed. address is without what may be a secret. Default: nobody is told.
	Report func(address string, unused []UnusedKey)

	url             string
	httpClient      *http.Client
	flights         *singleflight.Group[netip.Prefix, *fetchedKeys]
	unverifiedSince *lru.Cache[string, time.Time] // by the digest of a token that no key had signed, when it came first

	mu           sync.Mutex // guards what follows
	keys         *fetchedKeys
	lastAttempt  time.Time
	lastError    error // of the last attempt
	limiter      *rate.Limiter
	reportedKeys []UnusedKey
}

// NewRemoteKeySet returns the keys at an address, fetched by the client, whose
// timeout bounds each fetch. It follows redirects as [sameHost] allows, whatever
// the client's own rule is.
func NewRemoteKeySet(address string, client *http.Client) *RemoteKeySet {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &RemoteKeySet{
		ClientNetwork: func(context.Context) netip.Prefix { return netip.Prefix{} },
		url:           address,
		httpClient:    &own,
		flights: singleflight.New[netip.Prefix, *fetchedKeys](singleflight.Limits{
			Timeout: client.Timeout, Waiting: maxWaiting, PerOwner: maxWaitingPerClient,
		}),
		unverifiedSince: lru.New[string, time.Time](maxUnverified),
		limiter:         rate.NewLimiter(rate.Every(keyFetchInterval), keyFetchBurst),
	}
}

// Close closes idle connections.
func (r *RemoteKeySet) Close() error {
	r.httpClient.CloseIdleConnections()
	return nil
}

// Probe fetches the keys now, for an operator who wants to know whether they can
// be fetched, and returns how many are used.
func (r *RemoteKeySet) Probe(ctx context.Context) (keys int, err error) {
	fetched, err := r.refresh(ctx)
	if err != nil {
		return 0, err
	}
	return len(fetched.keys), nil
}

// VerifySignature implements [KeySet].
func (r *RemoteKeySet) VerifySignature(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	set, due := r.usable()
	if due {
		detached := delegation.Detach(ctx)
		background.Go("fetching an issuer's keys", func() { _, _ = r.refresh(detached) })
	}
	payload, err := set.verify(token)
	if err == nil {
		return payload, nil
	}
	return r.verifyRefreshed(ctx, token, set, err)
}

// verifyRefreshed verifies a token with keys that are fetched now, because none of
// the known ones has signed it, for the reason. The issuer may have a new key with
// another `kid`, or with the same one. Issuers publish a key before they sign with
// it: if keys that were requested after the token came first have not signed it,
// none has. Until then the refusal is session_unavailable, because a page that is
// told session_required sends its user to the login again and again.
func (r *RemoteKeySet) verifyRefreshed(ctx context.Context, token *jose.JSONWebSignature, set *fetchedKeys, reason error) ([]byte, error) {
	came := r.firstSeen(token)
	for tries := 0; set == nil || set.requestedAt.Before(came); tries++ {
		if tries == 2 { // the first flight may have begun before
			return nil, r.refuseUntilRefresh(reason)
		}
		fresh, err := r.refresh(ctx)
		if err != nil {
			return nil, r.unavailable(fmt.Errorf("fetching the issuer's keys: %w", err))
		}
		if fresh != set { // otherwise all is tried
			var payload []byte
			if payload, reason = fresh.verify(token); reason == nil {
				return payload, nil
			}
		}
		set = fresh
	}
	return nil, refuseToken(reason.Error())
}

// firstSeen returns when the token came first, as far as that is remembered. Two
// tokens with the same claims and another signature are two.
func (r *RemoteKeySet) firstSeen(token *jose.JSONWebSignature) time.Time {
	now := time.Now()
	sum := blake2b.Sum256(slices.Concat(token.Signatures[0].Signature, token.UnsafePayloadWithoutVerification()))
	name := string(sum[:])
	if came, ok := r.unverifiedSince.Get(name, name, now); ok {
		return came
	}
	r.unverifiedSince.Set(name, name, now, unverifiedLife, false)
	return now
}

// usable returns the keys, nil if there are none or they are too old, and whether
// a refresh is due.
func (r *RemoteKeySet) usable() (set *fetchedKeys, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil || time.Since(r.keys.requestedAt) >= keysMaxAge {
		return nil, false
	}
	return r.keys, time.Since(r.keys.requestedAt) >= KeyRefreshInterval && time.Since(r.lastAttempt) >= keyFetchInterval
}

// refresh fetches the keys, unless that was tried a moment ago, and returns those
// that may be used now. The known ones stay if the fetch fails.
func (r *RemoteKeySet) refresh(ctx context.Context) (*fetchedKeys, error) {
	return r.flights.Do(ctx, "keys", r.ClientNetwork(ctx), func(ctx context.Context) (*fetchedKeys, error) {
		if asked := time.Now(); r.mayFetch(asked) {
			keys, unused, err := r.download(ctx)
			r.mu.Lock()
			if r.lastError = err; err == nil {
				r.keys = &fetchedKeys{keys, asked}
			}
			changed := !slices.Equal(unused, r.reportedKeys)
			r.reportedKeys = unused
			r.mu.Unlock()
			if changed && len(unused) > 0 && r.Report != nil {
				r.Report(printableAddress(r.url), unused)
			}
		}
		if set, _ := r.usable(); set != nil {
			return set, nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.lastError != nil {
			return nil, r.lastError
		}
		return nil, errors.New("they are too old")
	})
}

// mayFetch tells whether the keys may be fetched now, and counts the fetch if so.
func (r *RemoteKeySet) mayFetch(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastError != nil && now.Sub(r.lastAttempt) < keyFetchInterval || !r.limiter.AllowN(now, 1) {
		return false
	}
	r.lastAttempt = now
	return true
}

// refuseUntilRefresh returns the refusal of a token that no known key has signed
// while no more may be fetched. It is marked as expected, because anybody can cause
// it at any time: operators must not be woken by it.
func (r *RemoteKeySet) refuseUntilRefresh(reason error) *delegation.Refusal {
	r.mu.Lock()
	failure := r.lastError
	r.mu.Unlock()
	if failure != nil {
		return r.unavailable(fmt.Errorf("fetching the issuer's keys: %w", failure))
	}
	refusal := r.unavailable(fmt.Errorf("%w; it may be signed by a newer one, which is looked for every %s", reason, keyFetchInterval))
	refusal.Expected = true
	return refusal
}

// unavailable returns the refusal for the time until the next fetch, at least 1 s.
func (r *RemoteKeySet) unavailable(cause error) *delegation.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	wait := time.Duration((1 - r.limiter.TokensAt(now)) * float64(keyFetchInterval))
	if r.lastError != nil {
		wait = max(wait, keyFetchInterval-now.Sub(r.lastAttempt))
	}
	refusal := delegation.Refuse(delegation.SessionUnavailable, cause)
	refusal.RetryAfter = max(wait, time.Second)
	return refusal
}
