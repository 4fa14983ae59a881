// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"crypto/ecdsa"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

// TestUnverifiedTokensAreTold protects who is not signed in, while strangers use up
// all there is to ask: once the keys were fetched since a session came first it
// is told that it is none.
func TestUnverifiedTokensAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, former, forged, s := jwkstest.NewKey(t), jwkstest.NewKey(t), jwkstest.NewKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(key, "k"))
		set := remote(s)
		session := token(t, former, "k", "alice")
		began := time.Now()
		for n := 0; ; n++ {
			for m := range 20 { // each of them another one
				_ = verify(t, set, token(t, forged, "k", fmt.Sprint(n, m)))
			}
			err := verify(t, set, session)
			if c := codeOf(t, err); c == delegation.SessionRequired {
				break
			} else if c != delegation.SessionUnavailable || time.Since(began) > keyFetchInterval+time.Second {
				t.Fatalf("%q after %s", c, time.Since(began))
			}
			time.Sleep(time.Second)
		}
		if s.Calls() > keyFetchBurst+2 {
			t.Errorf("%d calls", s.Calls())
		}
	})
}

// TestUnknownKeysAreNoStorm protects the issuer from forged tokens: whatever
// keys they name, it is asked once in a while.
func TestUnknownKeysAreNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, s := jwkstest.NewKey(t), new(jwkstest.Server)
		s.Publish(jwkstest.Public(key, "known"))
		s.Delay(time.Second)
		set := remote(s)
		forged := jwkstest.NewKey(t)
		var all sync.WaitGroup
		began := time.Now()
		for n := range 100 {
			for _, kid := range []string{strconv.Itoa(n), "known", ""} {
				text := token(t, forged, kid, "alice")
				all.Go(func() {
					err := verify(t, set, text)
					if c := codeOf(t, err); c != delegation.SessionRequired {
						t.Errorf("%q: %q", kid, c)
					}
				})
			}
		}
		all.Wait()
		if s.Calls() != 1 || time.Since(began) > time.Second {
			t.Errorf("%d calls, all answered after %s", s.Calls(), time.Since(began))
		}
		for n := range 100 {
			_ = codeOf(t, verify(t, set, token(t, forged, strconv.Itoa(n), "alice")))
			time.Sleep(keyFetchInterval / 50)
		}
		if took := time.Since(began); s.Calls() > keyFetchBurst+int(took/keyFetchInterval) {
			t.Errorf("%d calls in %s", s.Calls(), took)
		}
		// Who is signed in is still served.
		err := verify(t, set, token(t, key, "known", "alice"))
		if c := codeOf(t, err); c != "" {
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
				old, young, forged, s := jwkstest.NewKey(t), jwkstest.NewKey(t), jwkstest.NewKey(t), new(jwkstest.Server)
				s.Publish(jwkstest.Public(old, "old"))
				set := remote(s)
				verify := func(key *ecdsa.PrivateKey, kid string) error { return verify(t, set, token(t, key, kid, "alice")) }
				attack := func(rotated bool) bool {
					for n := range int(33 * time.Second / every) {
						kid := name
						if name == "another" {
							kid = strconv.Itoa(n)
						}
						_ = verify(forged, kid)
						if err := verify(old, "old"); err != nil && !rotated {
							t.Errorf("who is signed in: %v", err)
						}
						if rotated {
							err := verify(young, "young")
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
				s.Publish(jwkstest.Public(young, "young"))
				began := time.Now()
				if !attack(true) || time.Since(began) > keyFetchInterval {
					t.Errorf("the new key is known after %s", time.Since(began))
				}
				if n, most := s.Calls(), keyFetchBurst+1+int(43*time.Second/keyFetchInterval); n > most {
					t.Errorf("the issuer was asked %d times", n)
				}
			})
		}
	}
}
