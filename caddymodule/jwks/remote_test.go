// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"crypto/ecdsa"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

func remote(s *jwkstest.Server) *RemoteKeySet {
	return NewRemoteKeySet("https://login.example.org/jwks", s.Client())
}

// token is one of a user, signed by a key that it names; "" is no name.
func token(t testing.TB, key *ecdsa.PrivateKey, kid, user string) string {
	header := map[string]any{"kid": kid}
	if kid == "" {
		header = nil
	}
	return jwkstest.Sign(t, jose.ES256, key, header, map[string]any{"sub": user})
}

func verify(t testing.TB, set KeySet, text string) error {
	t.Helper()
	token, err := jose.ParseSignedCompact(text, AsymmetricAlgorithms)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := set.VerifySignature(t.Context(), token)
	if (err == nil) != (payload != nil) {
		t.Errorf("%s with %v", payload, err)
	}
	return err
}

// codeOf tells how a verification ended; "" is well.
func codeOf(t testing.TB, err error) delegation.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	r, ok := errors.AsType[*delegation.Refusal](err)
	if !ok {
		t.Fatalf("the error is no refusal: %v", err)
	}
	return r.Code
}

// TestKeysRotate protects sessions from the issuer's change of keys, and the
// issuer from being asked for each token.
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := jwkstest.NewKey(t), jwkstest.NewKey(t)
		s := new(jwkstest.Server)
		s.Publish(jwkstest.Public(old, "old"))
		set := remote(s)
		want := func(token string, code delegation.Code, calls int) {
			t.Helper()
			err := verify(t, set, token)
			synctest.Wait() // for what goes on in the background
			if c := codeOf(t, err); c != code || s.Calls() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.Calls(), code, calls)
			}
		}
		for range 3 {
			want(token(t, old, "old", "alice"), "", 1)
		}
		want(token(t, old, "", "alice"), "", 1) // without kid
		time.Sleep(keyFetchInterval)
		s.Publish(jwkstest.Public(young, "young"), jwkstest.Public(old, "old"))
		want(token(t, young, "young", "alice"), "", 2)
		want(token(t, old, "old", "alice"), "", 2)

		// A key that is withdrawn is believed for an hour, until the keys are
		// fetched anew.
		s.Publish(jwkstest.Public(young, "young"))
		time.Sleep(KeyRefreshInterval)
		want(token(t, young, "young", "alice"), "", 3)
		want(token(t, old, "old", "alice"), delegation.SessionRequired, 3)
	})
}

// TestKeyReplacedUnderItsName protects everybody from an issuer that gives a new
// key the old one's name: it is looked for at once, as one of a new name is, and
// as long as it cannot be, nobody is told that they are not signed in.
func TestKeyReplacedUnderItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young, forged, s := jwkstest.NewKey(t), jwkstest.NewKey(t), jwkstest.NewKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(old, "k"))
		set := remote(s)
		session := func(key *ecdsa.PrivateKey, user string) string {
			return token(t, key, "k", user)
		}
		want := func(token string, code delegation.Code, calls int) time.Duration {
			t.Helper()
			err := verify(t, set, token)
			if c := codeOf(t, err); c != code || s.Calls() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.Calls(), code, calls)
			}
			if err == nil {
				return 0
			}
			return delegation.AsRefusal(err).RetryAfter
		}
		want(session(old, "alice"), "", 1)
		time.Sleep(time.Second)
		s.Publish(jwkstest.Public(young, "k"))
		want(session(young, "alice"), "", 2)
		time.Sleep(time.Second)
		stranger := session(forged, "alice")
		want(stranger, delegation.SessionRequired, 3)
		want(stranger, delegation.SessionRequired, 3)

		// No more may be asked now.
		s.Publish(jwkstest.Public(old, "k"))
		time.Sleep(time.Second)
		late, former := session(old, "bob"), session(young, "carol")
		wait := want(late, delegation.SessionUnavailable, 3)
		if wait <= 0 || wait > keyFetchInterval {
			t.Errorf("to be tried again in %s", wait)
		}
		want(session(forged, "dave"), delegation.SessionUnavailable, 3)
		want(session(young, "erin"), "", 3) // by what is at hand
		time.Sleep(wait)
		want(session(forged, "frank"), delegation.SessionRequired, 4) // a stranger comes first
		want(late, "", 4)                                             // and it counts for who waited
		want(former, delegation.SessionRequired, 4)
	})
}

// TestKeysThatAreLookedForBeside protects who comes while keys are fetched that
// were asked for before: these say nothing of a key that is newer.
func TestKeysThatAreLookedForBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young, s := jwkstest.NewKey(t), jwkstest.NewKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(old, "old"))
		s.Delay(time.Second)
		set := remote(s)
		verify := func(token string, code delegation.Code) {
			t.Helper()
			err := verify(t, set, token)
			if c := codeOf(t, err); c != code {
				t.Errorf("%q, want %q", c, code)
			}
		}
		verify(token(t, old, "old", "alice"), "")
		other, late := token(t, young, "other", "alice"), token(t, young, "young", "alice")
		var all sync.WaitGroup
		all.Go(func() { verify(other, delegation.SessionRequired) })
		time.Sleep(500 * time.Millisecond)
		s.Publish(jwkstest.Public(old, "old"), jwkstest.Public(young, "young"))
		all.Go(func() { verify(late, "") })
		all.Wait()
		// What was looked for in vain is not looked for again.
		for range 20 {
			verify(other, delegation.SessionRequired)
		}
		if n := s.Calls(); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestKeysUnavailable protects from letting anybody in, or signing everybody
// out, while the issuer's keys cannot be had.
func TestKeysUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, s := jwkstest.NewKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(key, "k"))
		s.Fail(http.StatusServiceUnavailable)
		set := remote(s)
		want := func(code delegation.Code, calls int) {
			t.Helper()
			err := verify(t, set, token(t, key, "k", "alice"))
			synctest.Wait() // for what goes on in the background
			if c := codeOf(t, err); c != code || s.Calls() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.Calls(), code, calls)
			}
		}
		want(delegation.SessionUnavailable, 1)
		want(delegation.SessionUnavailable, 1)
		s.Fail(0)
		time.Sleep(keyFetchInterval)
		want("", 2)
		s.Fail(http.StatusNotFound)
		time.Sleep(keysMaxAge - time.Minute)
		want("", 3)
		want("", 3)
		time.Sleep(time.Minute)
		want(delegation.SessionUnavailable, 4) // believed for a day, not for ever
	})
}
