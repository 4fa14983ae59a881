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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// KeysAge is when keys are fetched anew in the background, and how long a
	// session may be remembered that one of them has signed; keysLife is when
	// they are not used any more: one that the issuer has withdrawn must not
	// be believed for ever because the issuer cannot be reached.
	KeysAge  = time.Hour
	keysLife = 24 * time.Hour

	// keysPause is how long to wait between two attempts, on average: keysBurst
	// may follow each other. Anybody can send tokens that no key has signed.
	keysPause = 10 * time.Second
	keysBurst = 3

	// unverifiedLife is for how long it is remembered that a token came that no key
	// had signed: until its user's app has tried again after a pause, and not
	// much longer, as an issuer may publish a key after it has signed with it.
	unverifiedLife = 3 * keysPause
	maxUnverified  = 10_000
)

// Remote are keys that an issuer publishes as a JSON Web Key Set (RFC 7517
// section 5). They are fetched when the first token is verified, again when one
// comes that none of them has signed, and every hour. It implements [Keys]. It
// has no goroutine of its own.
type Remote struct {
	// Client tells who waits. Nil: nobody is told from anybody.
	Client Client

	// Report is told which keys of the set are not used, when that has changed.
	// Nil: nobody is.
	Report func(address string, passed []UnusedKey)

	url        string
	client     *http.Client
	flights    *flight.Group[netip.Prefix, *keySet]
	unverified *memory.Store[string, time.Time] // when tokens came first that no key had signed, by digest

	mu       sync.Mutex
	set      *keySet   // what was fetched last; nil if nothing was
	tried    time.Time // when it was asked for last
	failure  error     // of that
	bucket   *rate.Limiter
	reported []UnusedKey
}

// NewRemote returns the keys at an address, fetched by the client. Redirects are
// followed here, as far as they may be, whatever the client does.
func NewRemote(address string, client *http.Client) *Remote {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Remote{
		url: address, client: &own,
		flights: flight.New[netip.Prefix, *keySet](flight.Limits{
			Timeout: client.Timeout, Waiting: 10 * maxWaiting, PerOwner: maxWaiting, // of one address: anybody can name a key
		}),
		unverified: memory.New[string, time.Time](maxUnverified),
		bucket:     rate.NewLimiter(rate.Every(keysPause), keysBurst),
	}
}

// Close gives idle connections back.
func (r *Remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// Payload implements [Keys].
func (r *Remote) Payload(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	set, due := r.known()
	if due {
		detached := delegation.Detach(ctx)
		background.Go("fetching an issuer's keys", func() { _, _ = r.fetch(detached) })
	}
	payload, err := set.try(token)
	if err == nil {
		return payload, nil
	}
	return r.look(ctx, token, set, err)
}

// look verifies a token with keys that are fetched now, as none of those at hand
// has signed it, for the reason. The issuer may have a new key by another name,
// or by the same one. What has signed a token is published when the token comes:
// keys that were asked for since it came first tell that it is worth nothing.
// Until there are such it cannot be told, and "not signed in" would have pages
// send their users to the login again and again.
func (r *Remote) look(ctx context.Context, token *jose.JSONWebSignature, set *keySet, reason error) ([]byte, error) {
	came := r.firstSeen(token)
	for tries := 0; set == nil || set.asked.Before(came); tries++ {
		if tries == 2 { // the first flight may have begun before
			return nil, r.later(reason)
		}
		fresh, err := r.fetch(ctx)
		if err != nil {
			return nil, r.unavailable(fmt.Errorf("fetching the issuer's keys: %w", err))
		}
		if fresh != set { // otherwise all is tried
			var payload []byte
			if payload, reason = fresh.try(token); reason == nil {
				return payload, nil
			}
		}
		set = fresh
	}
	return nil, refuse(reason.Error())
}

// firstSeen tells when the token came first. It is known by all of it: two of
// the same claims are two.
func (r *Remote) firstSeen(token *jose.JSONWebSignature) time.Time {
	now := time.Now()
	name := digestOf(string(token.Signatures[0].Signature) + string(token.UnsafePayloadWithoutVerification()))
	if came, ok := r.unverified.Get(name, name, now); ok {
		return came
	}
	r.unverified.Set(name, name, now, unverifiedLife, false)
	return now
}

// known returns the keys that may be used, nil if there are none, and whether
// they should be fetched anew.
func (r *Remote) known() (set *keySet, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil || time.Since(r.set.asked) >= keysLife {
		return nil, false
	}
	return r.set, time.Since(r.set.asked) >= KeysAge && time.Since(r.tried) >= keysPause
}

// fetch asks the issuer for its keys, unless that was tried a moment ago. The
// keys at hand stay if it fails.
func (r *Remote) fetch(ctx context.Context) (*keySet, error) {
	return r.flights.Do(ctx, "keys", r.Client.of(ctx), func(ctx context.Context) (*keySet, error) {
		if asked := time.Now(); r.begin(asked) {
			keys, passed, err := r.get(ctx)
			r.mu.Lock()
			if r.failure = err; err == nil {
				r.set = &keySet{keys, asked}
			}
			changed := !slices.Equal(passed, r.reported)
			r.reported = passed
			r.mu.Unlock()
			if changed && len(passed) > 0 && r.Report != nil {
				r.Report(r.url, passed)
			}
		}
		if set, _ := r.known(); set != nil {
			return set, nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failure != nil {
			return nil, r.failure
		}
		return nil, errors.New("they are too old")
	})
}

// begin tells whether it is time to ask.
func (r *Remote) begin(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil && now.Sub(r.tried) < keysPause || !r.bucket.AllowN(now, 1) {
		return false
	}
	r.tried = now
	return true
}

// later is the refusal of a token that no key at hand has signed, until it is
// time to ask again. Anybody can cause it, at any time: it is no fault.
func (r *Remote) later(reason error) *delegation.Refusal {
	r.mu.Lock()
	failure := r.failure
	r.mu.Unlock()
	if failure != nil {
		return r.unavailable(fmt.Errorf("fetching the issuer's keys: %w", failure))
	}
	refusal := r.unavailable(fmt.Errorf("%w; it may be signed by a newer one, which is looked for every %s", reason, keysPause))
	refusal.Expected = true
	return refusal
}

// unavailable is the refusal until it is time to ask again.
func (r *Remote) unavailable(cause error) *delegation.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	wait := time.Duration((1 - r.bucket.TokensAt(now)) * float64(keysPause))
	if r.failure != nil {
		wait = max(wait, keysPause-now.Sub(r.tried))
	}
	refusal := unavailable(cause)
	refusal.RetryAfter = max(wait, time.Second)
	return refusal
}
