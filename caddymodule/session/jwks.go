// SPDX-License-Identifier: Apache-2.0

package session

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
	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// KeyRefreshInterval is when keys are fetched anew in the background, and how long a
	// session may be remembered that one of them has signed; keysLife is when
	// they are not used any more: one that the issuer has withdrawn must not
	// be believed for ever because the issuer cannot be reached.
	KeyRefreshInterval = time.Hour
	keysMaxAge         = 24 * time.Hour

	// keyFetchInterval is how long to wait between two attempts, on average: keysBurst
	// may follow each other. Anybody can send tokens that no key has signed.
	keyFetchInterval = 10 * time.Second
	keyFetchBurst    = 3

	// unverifiedLife is for how long it is remembered that a token came that no key
	// had signed: until its user's app has tried again after a pause, and not
	// much longer, as an issuer may publish a key after it has signed with it.
	unverifiedLife = 3 * keyFetchInterval
	maxUnverified  = 10_000
)

// RemoteKeySet are keys that an issuer publishes as a JSON Web Key Set (RFC 7517
// section 5). They are fetched when the first token is verified, again when one
// comes that none of them has signed, and every hour. It implements [Keys]. It
// has no goroutine of its own.
type RemoteKeySet struct {
	// ClientAddress tells who waits. Nil: nobody is told from anybody.
	ClientAddress ClientAddress

	// Report is told which keys of the set are not used, when that has changed.
	// Nil: nobody is.
	Report func(address string, passed []UnusedKey)

	url             string
	httpClient      *http.Client
	flights         *singleflight.Group[netip.Prefix, *fetchedKeys]
	unverifiedSince *lru.Cache[string, time.Time] // when tokens came first that no key had signed, by digest

	mu           sync.Mutex
	keys         *fetchedKeys // what was fetched last; nil if nothing was
	lastAttempt  time.Time    // when it was asked for last
	lastError    error        // of that
	limiter      *rate.Limiter
	reportedKeys []UnusedKey
}

// NewRemoteKeySet returns the keys at an address, fetched by the client. Redirects are
// followed here, as far as they may be, whatever the client does.
func NewRemoteKeySet(address string, client *http.Client) *RemoteKeySet {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &RemoteKeySet{
		url: address, httpClient: &own,
		flights: singleflight.New[netip.Prefix, *fetchedKeys](singleflight.Limits{
			Timeout: client.Timeout, Waiting: 10 * maxWaiting, PerOwner: maxWaiting, // of one address: anybody can name a key
		}),
		unverifiedSince: lru.New[string, time.Time](maxUnverified),
		limiter:         rate.NewLimiter(rate.Every(keyFetchInterval), keyFetchBurst),
	}
}

// Close gives idle connections back.
func (r *RemoteKeySet) Close() error {
	r.httpClient.CloseIdleConnections()
	return nil
}

// VerifySignature implements [Keys].
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

// verifyRefreshed verifies a token with keys that are fetched now, as none of those at hand
// has signed it, for the reason. The issuer may have a new key by another name,
// or by the same one. What has signed a token is published when the token comes:
// keys that were asked for since it came first tell that it is worth nothing.
// Until there are such it cannot be told, and "not signed in" would have pages
// send their users to the login again and again.
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
	return nil, refuse(reason.Error())
}

// firstSeen tells when the token came first. It is known by all of it: two of
// the same claims are two.
func (r *RemoteKeySet) firstSeen(token *jose.JSONWebSignature) time.Time {
	now := time.Now()
	name := sessionDigest(string(token.Signatures[0].Signature) + string(token.UnsafePayloadWithoutVerification()))
	if came, ok := r.unverifiedSince.Get(name, name, now); ok {
		return came
	}
	r.unverifiedSince.Set(name, name, now, unverifiedLife, false)
	return now
}

// usable returns the keys that may be used, nil if there are none, and whether
// they should be fetched anew.
func (r *RemoteKeySet) usable() (set *fetchedKeys, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil || time.Since(r.keys.requestedAt) >= keysMaxAge {
		return nil, false
	}
	return r.keys, time.Since(r.keys.requestedAt) >= KeyRefreshInterval && time.Since(r.lastAttempt) >= keyFetchInterval
}

// refresh asks the issuer for its keys, unless that was tried a moment ago. The
// keys at hand stay if it fails.
func (r *RemoteKeySet) refresh(ctx context.Context) (*fetchedKeys, error) {
	return r.flights.Do(ctx, "keys", r.ClientAddress.network(ctx), func(ctx context.Context) (*fetchedKeys, error) {
		if asked := time.Now(); r.mayFetch(asked) {
			keys, passed, err := r.download(ctx)
			r.mu.Lock()
			if r.lastError = err; err == nil {
				r.keys = &fetchedKeys{keys, asked}
			}
			changed := !slices.Equal(passed, r.reportedKeys)
			r.reportedKeys = passed
			r.mu.Unlock()
			if changed && len(passed) > 0 && r.Report != nil {
				r.Report(r.url, passed)
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

// mayFetch tells whether it is time to ask.
func (r *RemoteKeySet) mayFetch(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastError != nil && now.Sub(r.lastAttempt) < keyFetchInterval || !r.limiter.AllowN(now, 1) {
		return false
	}
	r.lastAttempt = now
	return true
}

// refuseUntilRefresh is the refusal of a token that no key at hand has signed, until it is
// time to ask again. Anybody can cause it, at any time: it is no fault.
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

// unavailable is the refusal until it is time to ask again.
func (r *RemoteKeySet) unavailable(cause error) *delegation.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	wait := time.Duration((1 - r.limiter.TokensAt(now)) * float64(keyFetchInterval))
	if r.lastError != nil {
		wait = max(wait, keyFetchInterval-now.Sub(r.lastAttempt))
	}
	refusal := unavailable(cause)
	refusal.RetryAfter = max(wait, time.Second)
	return refusal
}
