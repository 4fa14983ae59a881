// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/ecdsa"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func verifierOf(keys KeySet) *JWT {
	return &JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: AsymmetricAlgorithms, Keys: keys}
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

// TestKeysRotate protects sessions from the issuer's change of keys, and the
// issuer from being asked for each token.
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := newKey(t), newKey(t)
		s := new(keyServer)
		s.set(published(old, "old"))
		j := verifierOf(remote(s))
		want := func(token string, code delegation.Code, calls int) {
			t.Helper()
			got, err := j.Verify(t.Context(), bearer(token))
			synctest.Wait() // for what goes on in the background
			if c := codeOf(t, got, err); c != code || s.count() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.count(), code, calls)
			}
		}
		for range 3 {
			want(sign(t, jose.ES256, old, kid("old"), testClaims(nil)), "", 1)
		}
		want(sign(t, jose.ES256, old, nil, testClaims(nil)), "", 1) // without kid
		time.Sleep(keyFetchInterval)
		s.set(published(young, "young"), published(old, "old"))
		want(sign(t, jose.ES256, young, kid("young"), testClaims(nil)), "", 2)
		want(sign(t, jose.ES256, old, kid("old"), testClaims(nil)), "", 2)

		// A key that is withdrawn is believed for an hour, until the keys are
		// fetched anew.
		s.set(published(young, "young"))
		time.Sleep(KeyRefreshInterval)
		want(sign(t, jose.ES256, young, kid("young"), testClaims(nil)), "", 3)
		want(sign(t, jose.ES256, old, kid("old"), testClaims(nil)), delegation.SessionRequired, 3)
	})
}

// TestKeyReplacedUnderItsName protects everybody from an issuer that gives a new
// key the old one's name: it is looked for at once, as one of a new name is, and
// as long as it cannot be, nobody is told that they are not signed in.
func TestKeyReplacedUnderItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young, forged, s := newKey(t), newKey(t), newKey(t), new(keyServer)
		s.set(published(old, "k"))
		j := verifierOf(remote(s))
		session := func(key *ecdsa.PrivateKey, user string) string {
			return sign(t, jose.ES256, key, kid("k"), testClaims(map[string]any{"sub": user}))
		}
		want := func(token string, code delegation.Code, calls int) time.Duration {
			t.Helper()
			got, err := j.Verify(t.Context(), bearer(token))
			if c := codeOf(t, got, err); c != code || s.count() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.count(), code, calls)
			}
			if err == nil {
				return 0
			}
			return delegation.AsRefusal(err).RetryAfter
		}
		want(session(old, "alice"), "", 1)
		time.Sleep(time.Second)
		s.set(published(young, "k"))
		want(session(young, "alice"), "", 2)
		time.Sleep(time.Second)
		stranger := session(forged, "alice")
		want(stranger, delegation.SessionRequired, 3)
		want(stranger, delegation.SessionRequired, 3)

		// No more may be asked now.
		s.set(published(old, "k"))
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

// TestUnverifiedTokensAreTold protects who is not signed in, while strangers use up
// all there is to ask: once the keys were fetched since a session came first it
// is told that it is none.
func TestUnverifiedTokensAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, former, forged, s := newKey(t), newKey(t), newKey(t), new(keyServer)
		s.set(published(key, "k"))
		j := verifierOf(remote(s))
		session := sign(t, jose.ES256, former, kid("k"), testClaims(nil))
		began := time.Now()
		for n := 0; ; n++ {
			for m := range 20 { // each of them another one
				_, _ = j.Verify(t.Context(), bearer(sign(t, jose.ES256, forged, kid("k"), testClaims(map[string]any{"n": []int{n, m}}))))
			}
			got, err := j.Verify(t.Context(), bearer(session))
			if c := codeOf(t, got, err); c == delegation.SessionRequired {
				break
			} else if c != delegation.SessionUnavailable || time.Since(began) > keyFetchInterval+time.Second {
				t.Fatalf("%q after %s", c, time.Since(began))
			}
			time.Sleep(time.Second)
		}
		if s.count() > keyFetchBurst+2 {
			t.Errorf("%d calls", s.count())
		}
	})
}

// TestHopelessTokensAreNotLookedFor protects the issuer from being asked for the
// key of what would be no session whoever had signed it.
func TestHopelessTokensAreNotLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, forged, s := newKey(t), newKey(t), new(keyServer)
		s.set(published(key, "k"))
		j := verifierOf(remote(s))
		for _, change := range []map[string]any{
			{"exp": time.Now().Add(-time.Hour).Unix()}, {"aud": "other"}, {"iss": "other"}, {"sub": nil}, {"cnf": map[string]any{}}, {"token_use": "refresh"},
		} {
			got, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, forged, kid("new"), testClaims(change))))
			if c := codeOf(t, got, err); c != delegation.SessionRequired {
				t.Errorf("%v: %q", change, c)
			}
		}
		if s.count() != 0 {
			t.Errorf("%d calls", s.count())
		}
	})
}

// TestUnknownKeysAreNoStorm protects the issuer from forged tokens: whatever
// keys they name, it is asked once in a while.
func TestUnknownKeysAreNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, s := newKey(t), new(keyServer)
		s.set(published(key, "known"))
		s.delay = time.Second
		j := verifierOf(remote(s))
		forged := newKey(t)
		var all sync.WaitGroup
		began := time.Now()
		for n := range 100 {
			for _, header := range []map[string]any{kid(strconv.Itoa(n)), kid("known"), nil} {
				token := sign(t, jose.ES256, forged, header, testClaims(nil))
				all.Go(func() {
					got, err := j.Verify(t.Context(), bearer(token))
					if c := codeOf(t, got, err); c != delegation.SessionRequired {
						t.Errorf("%v: %q", header, c)
					}
				})
			}
		}
		all.Wait()
		if s.count() != 1 || time.Since(began) > time.Second {
			t.Errorf("%d calls, all answered after %s", s.count(), time.Since(began))
		}
		for n := range 100 {
			got, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, forged, kid(strconv.Itoa(n)), testClaims(nil))))
			_ = codeOf(t, got, err)
			time.Sleep(keyFetchInterval / 50)
		}
		if took := time.Since(began); s.count() > keyFetchBurst+int(took/keyFetchInterval) {
			t.Errorf("%d calls in %s", s.count(), took)
		}
		// Who is signed in is still served.
		got, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, kid("known"), testClaims(nil))))
		if c := codeOf(t, got, err); c != "" {
			t.Error(c)
		}
	})
}

// TestStrangersHideNoRotation protects who signs in from being told that they
// are not signed in, because somebody else has named so many keys there never
// were that the issuer cannot be asked at once about the new one.
func TestStrangersHideNoRotation(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Millisecond, 500 * time.Millisecond, 3 * time.Second} {
		for _, name := range []string{"", "the same", "another"} {
			synctest.Test(t, func(t *testing.T) {
				old, young, forged, s := newKey(t), newKey(t), newKey(t), new(keyServer)
				s.set(published(old, "old"))
				j := verifierOf(remote(s))
				verify := func(key *ecdsa.PrivateKey, header map[string]any) error {
					_, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, header, testClaims(nil))))
					return err
				}
				attack := func(rotated bool) bool {
					for n := range int(33 * time.Second / every) {
						header := kid(name)
						switch name {
						case "":
							header = nil
						case "another":
							header = kid(strconv.Itoa(n))
						}
						_ = verify(forged, header)
						if err := verify(old, kid("old")); err != nil && !rotated {
							t.Errorf("who is signed in: %v", err)
						}
						if rotated {
							err := verify(young, kid("young"))
							if err == nil {
								return true
							}
							if r := delegation.AsRefusal(err); r.Code != delegation.SessionUnavailable || r.RetryAfter < time.Second || r.RetryAfter > keyFetchInterval {
								t.Fatalf("%v, to be tried again in %s", err, r.RetryAfter)
							}
						}
						time.Sleep(every)
					}
					return false
				}
				attack(false)
				s.set(published(young, "young"))
				began := time.Now()
				if !attack(true) || time.Since(began) > keyFetchInterval {
					t.Errorf("the new key is known after %s", time.Since(began))
				}
				if n, most := s.count(), keyFetchBurst+1+int(43*time.Second/keyFetchInterval); n > most {
					t.Errorf("the issuer was asked %d times", n)
				}
			})
		}
	}
}

// TestKeysThatAreLookedForBeside protects who comes while keys are fetched that
// were asked for before: these say nothing of a key that is newer.
func TestKeysThatAreLookedForBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young, s := newKey(t), newKey(t), new(keyServer)
		s.set(published(old, "old"))
		s.delay = time.Second
		j := verifierOf(remote(s))
		verify := func(token string, code delegation.Code) {
			t.Helper()
			got, err := j.Verify(t.Context(), bearer(token))
			if c := codeOf(t, got, err); c != code {
				t.Errorf("%q, want %q", c, code)
			}
		}
		verify(sign(t, jose.ES256, old, kid("old"), testClaims(nil)), "")
		other, late := sign(t, jose.ES256, young, kid("other"), testClaims(nil)), sign(t, jose.ES256, young, kid("young"), testClaims(nil))
		var all sync.WaitGroup
		all.Go(func() { verify(other, delegation.SessionRequired) })
		time.Sleep(500 * time.Millisecond)
		s.set(published(old, "old"), published(young, "young"))
		all.Go(func() { verify(late, "") })
		all.Wait()
		// What was looked for in vain is not looked for again.
		for range 20 {
			verify(other, delegation.SessionRequired)
		}
		if n := s.count(); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestKeysUnavailable protects from letting anybody in, or signing everybody
// out, while the issuer's keys cannot be had.
func TestKeysUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, s := newKey(t), new(keyServer)
		s.set(published(key, "k"))
		s.fail(http.StatusServiceUnavailable)
		j := verifierOf(remote(s))
		want := func(code delegation.Code, calls int) {
			t.Helper()
			got, err := j.Verify(t.Context(), bearer(sign(t, jose.ES256, key, kid("k"), testClaims(nil))))
			synctest.Wait() // for what goes on in the background
			if c := codeOf(t, got, err); c != code || s.count() != calls {
				t.Errorf("%q after %d calls; want %q after %d", c, s.count(), code, calls)
			}
		}
		want(delegation.SessionUnavailable, 1)
		want(delegation.SessionUnavailable, 1)
		s.fail(0)
		time.Sleep(keyFetchInterval)
		want("", 2)
		s.fail(http.StatusNotFound)
		time.Sleep(keysMaxAge - time.Minute)
		want("", 3)
		want("", 3)
		time.Sleep(time.Minute)
		want(delegation.SessionUnavailable, 4) // believed for a day, not for ever
	})
}

// TestKeySetsThatAreNone protects from answers that are hostile, or for
// something else.
func TestKeySetsThatAreNone(t *testing.T) {
	usable := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}`
	for name, c := range map[string]struct {
		text string
		keys int
	}{
		"one":           {`{"keys":[` + usable + `]}`, 1},
		"unknown types": {`{"keys":[{"kty":"new"},` + usable + `,{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}]}`, 1},
		"encryption":    {`{"keys":[` + strings.Replace(usable, `"kid"`, `"use":"enc","kid"`, 1) + `]}`, 0},
		"a secret":      {`{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}]}`, 0},
		"HTML":          {`<html>`, 0},
		"null":          {`null`, 0},
		"no keys":       {`{}`, 0},
	} {
		keys, _, err := parseKeySet([]byte(c.text))
		if len(keys) != c.keys || (err == nil) != (c.keys > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	huge := new(keyServer)
	huge.say(http.StatusOK, `{"keys":[`+usable+`],"x":"`+strings.Repeat("x", maxKeySet)+`"}`)
	if _, _, err := remote(huge).download(t.Context()); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an answer of any length is read: %v", err)
	}
}
