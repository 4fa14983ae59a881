// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func newIssuer(e *Engine) *issuer {
	i := &issuer{life: time.Hour, found: make(map[RequestResult]int), why: make(map[MintReason]int)}
	i.view = e.Attach(i)
	return i
}

// TestR14_MintsThatPanic protects the process from a provider's fault in a
// renewal that nobody waits for, and the token at hand from it: it is a failure
// like others, and tried again.
func TestR14_MintsThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		var broken atomic.Bool
		i.mint = func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
			if broken.Load() {
				panic("alice")
			}
			return &delegation.Token{Access: delegation.NewSecret("t"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		i.get(t, alice)
		broken.Store(true)
		time.Sleep(time.Minute)
		i.want(t, alice, true, "")
		time.Sleep(50 * time.Minute)
		i.want(t, alice, true, "")
		synctest.Wait()
		if i.count() < 2 {
			t.Error("no renewal was tried")
		}
		broken.Store(false)
		for range 9 { // the first uses after the pause renew it
			time.Sleep(time.Minute)
			i.want(t, alice, true, "")
		}
		synctest.Wait()
		if e.Status().Minting != 0 {
			t.Error("a slot at the issuer is lost")
		}
		broken.Store(true)
		i.want(t, person("bob"), false, delegation.IssuerUnavailable)
		i.want(t, person("bob"), false, delegation.IssuerUnavailable)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.found[RequestRemembered] != 1 {
			t.Errorf("found: %v; want the failure to be remembered", i.found)
		}
	})
}

// TestR3_SettingsOfTheirOwn protects the issuer from renewals for settings that
// no configuration has any more, and people from tokens of them: the engine is
// the same, the tokens are not.
func TestR3_SettingsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, old := start(t, Options{}, time.Hour)
		old.view.Configure(Options{}, "1")
		old.get(t, alice)
		time.Sleep(time.Minute)
		old.want(t, alice, true, "")

		now := newIssuer(e)
		now.view.Configure(Options{}, "2")
		changed := alice
		changed.Config = "2"
		now.want(t, changed, false, "")
		old.view.Detach()
		time.Sleep(50 * time.Minute)
		old.want(t, alice, true, "") // a request that outlives its configuration
		now.want(t, changed, true, "")
		time.Sleep(time.Hour)
		if old.count() != 1 || now.count() > 3 {
			t.Errorf("%d and %d mints; want the old settings' token to expire", old.count(), now.count())
		}

		// The same settings again: what is in use goes on being renewed, though
		// nobody has asked by this configuration yet.
		now.want(t, changed, false, "")
		time.Sleep(time.Second)
		now.want(t, changed, true, "")
		again := newIssuer(e)
		again.view.Configure(Options{}, "2")
		now.view.Detach()
		time.Sleep(50 * time.Minute)
		now.want(t, changed, true, "") // a request that outlives its configuration
		synctest.Wait()
		if again.count() != 1 || again.why[MintAhead] != 1 {
			t.Errorf("%d mints, %v; want a renewal", again.count(), again.why)
		}
	})
}

// TestR3_OptionsChange protects an operator who changes a bound: it counts from
// then on, also below what is there, and what waits goes on. One that comes
// with a configuration that does not load is taken back.
func TestR3_OptionsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.view.Configure(Options{Concurrency: 2, MaxEntries: 1000}, "1")
		for n := range 600 {
			i.get(t, person(string(rune('a'+n))))
		}
		i.hold = make(chan struct{})
		for _, name := range []string{"x", "y", "z"} {
			go func() { _, _, _ = i.view.Get(t.Context(), person(name+" waits")) }()
		}
		synctest.Wait()
		if s := e.Status(); s.Waiting != 3 || s.Minting != 2 || s.Entries != 600 {
			t.Errorf("%+v", s)
		}
		other := newIssuer(e)
		other.view.Configure(Options{Concurrency: 4, MaxEntries: 100, maxWaiting: 3}, "1")
		if s := e.Status(); s.Waiting != 3 || s.Entries > 100 {
			t.Errorf("%+v; want a hundred entries, and all three to wait", s)
		}
		other.want(t, person("one more"), false, delegation.Overloaded)
		other.view.Detach()
		close(i.hold)
		synctest.Wait()
		i.want(t, person("one more"), false, "")
		if s := e.Status(); s.Waiting != 0 || s.Minting != 0 {
			t.Errorf("%+v; want nobody to wait", s)
		}
	})
}

// TestR3_CredentialsAreTriedAnew protects an operator who has mended a key or
// an account: other settings ask the issuer again at once, and the same ones,
// loaded once more, do not.
func TestR3_CredentialsAreTriedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.view.Configure(Options{}, "1")
		i.failing(delegation.CredentialsRejected, 0)
		i.want(t, service, false, delegation.CredentialsRejected)
		same := newIssuer(e)
		same.view.Configure(Options{}, "1")
		same.want(t, service, false, delegation.CredentialsRejected)
		mended := newIssuer(e)
		mended.view.Configure(Options{}, "2")
		mended.want(t, service, false, "")
		if i.count() != 1 || same.count() != 0 || mended.count() != 1 {
			t.Errorf("%d, %d and %d mints", i.count(), same.count(), mended.count())
		}
	})
}
