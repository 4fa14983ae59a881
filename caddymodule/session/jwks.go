// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

const (
	// KeysAge is when keys are fetched anew in the background, and how long a
	// session may be remembered that one of them has signed; keysLife is when
	// they are not used any more: one that the issuer has withdrawn must not
	// be believed for ever because the issuer cannot be reached.
	KeysAge  = time.Hour
	keysLife = 24 * time.Hour

	// keysPause is how long to wait between two attempts, on average: keysBurst
	// may follow each other. Anybody can send tokens that name keys there never
	// were. A key that was looked for in vain is not looked for again for as long.
	keysPause = 10 * time.Second
	keysBurst = 3

	maxKeySet  = 512 << 10
	maxKeys    = 100
	maxMissing = 1000
)

// Remote are keys that an issuer publishes as a JSON Web Key Set (RFC 7517
// section 5). They are fetched when the first token is verified, again when a
// token names a key that is not among them, and every hour. It implements
// [Keys]. It has no goroutine of its own.
type Remote struct {
	// Client tells who waits. Nil: nobody is told from anybody.
	Client Client

	url     string
	client  *http.Client
	flights *flight.Group[netip.Prefix, *keySet]
	missing *memory.Store[string, struct{}] // names of keys that were looked for in vain, as they came

	mu      sync.Mutex
	set     *keySet   // what was fetched last; nil if nothing was
	tried   time.Time // when it was asked for last
	failure error     // of that
	bucket  *rate.Limiter
}

// keySet are an issuer's keys of one moment.
type keySet struct {
	keys  []jose.JSONWebKey
	asked time.Time // when they were asked for
}

// NewRemote returns the keys at an address, fetched by the client.
func NewRemote(address string, client *http.Client) *Remote {
	return &Remote{
		url: address, client: client,
		flights: flight.New[netip.Prefix, *keySet](flight.Limits{
			Timeout: client.Timeout, Waiting: 10 * maxWaiting, PerOwner: maxWaiting, // of one address: anybody can name a key
		}),
		missing: memory.New[string, struct{}](maxMissing),
		bucket:  rate.NewLimiter(rate.Every(keysPause), keysBurst),
	}
}

// Close gives idle connections back.
func (r *Remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

const (
	otherKey = "JWT: the issuer's key has not signed it"
	noKey    = "JWT: the issuer has no key that has signed it"
)

// Payload implements [Keys].
func (r *Remote) Payload(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	set, due := r.known()
	if due {
		detached := delegation.Detach(ctx)
		background.Go("fetching an issuer's keys", func() { _, _ = r.fetch(detached) })
	}
	payload, named := set.try(token)
	switch {
	case payload != nil:
		return payload, nil
	case named:
		return nil, refuse(otherKey)
	}
	return r.look(ctx, token, set)
}

// look verifies a token with keys that are fetched now, as those at hand do not
// hold the one it names.
func (r *Remote) look(ctx context.Context, token *jose.JSONWebSignature, set *keySet) ([]byte, error) {
	name, came := token.Signatures[0].Protected.KeyID, time.Now()
	if _, ok := r.missing.Get(name, name, came); ok && set != nil {
		return nil, refuse(noKey)
	}
	for tries := 0; set == nil || set.asked.Before(came); tries++ {
		if tries == 2 { // the first flight may have begun before
			// Keys from before the question say nothing: the issuer may have a new
			// one, and "not signed in" would have apps sign their users out.
			return nil, r.later(errors.New("the issuer was asked for its keys too often just now, and those at hand are older than the session's question"))
		}
		fresh, err := r.fetch(ctx)
		if err != nil {
			return nil, r.later(fmt.Errorf("fetching the issuer's keys: %w", err))
		}
		if fresh != set { // otherwise all is tried
			payload, named := fresh.try(token)
			switch {
			case payload != nil:
				return payload, nil
			case named:
				return nil, refuse(otherKey)
			}
		}
		set = fresh
	}
	if name != "" {
		r.missing.Set(name, name, struct{}{}, keysPause, false)
	}
	return nil, refuse(noKey)
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

// try verifies with the keys that a token may mean. named tells whether it
// names one of them.
func (s *keySet) try(token *jose.JSONWebSignature) (payload []byte, named bool) {
	if s == nil {
		return nil, false
	}
	header := token.Signatures[0].Protected
	for _, key := range s.keys {
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		named = header.KeyID != ""
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, named
}

// fetch asks the issuer for its keys, unless that was tried a moment ago. The
// keys at hand stay if it fails.
func (r *Remote) fetch(ctx context.Context) (*keySet, error) {
	return r.flights.Do(ctx, "keys", r.Client.of(ctx), func(ctx context.Context) (*keySet, error) {
		if asked := time.Now(); r.begin(asked) {
			keys, err := r.get(ctx)
			r.mu.Lock()
			if r.failure = err; err == nil {
				r.set = &keySet{keys, asked}
			}
			r.mu.Unlock()
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

// later is the refusal until it is time again.
func (r *Remote) later(cause error) *delegation.Refusal {
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

// get makes the call.
func (r *Remote) get(ctx context.Context) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := r.client.Do(req)
	if err != nil {
		return nil, oauth.Unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, unusableAnswer(r.url, res, nil)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, oauth.Unreachable(err)
	}
	if len(text) > maxKeySet {
		return nil, errors.New("the answer is too large")
	}
	keys, err := readKeySet(text)
	if err != nil {
		return nil, unusableAnswer(r.url, res, err)
	}
	return keys, nil
}

// readKeySet reads the keys that are for signatures. Others, and those of
// types that are not known here, are passed over (RFC 7517 section 5).
func readKeySet(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("the answer is no JSON Web Key Set")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || key.Use != "" && key.Use != "sig" || !key.IsPublic() {
			continue
		}
		if _, err := fitting(key.Key); err == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set holds no public key for signatures")
	}
	return keys, nil
}
