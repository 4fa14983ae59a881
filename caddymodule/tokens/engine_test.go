// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOneMint protects the issuer: however many ask at once, one mint; and a
// failure answers them all, once.
func TestOneMint(t *testing.T) {
	for _, code := range []delegation.Code{"", delegation.DelegationRefused, delegation.IssuerUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{}, time.Hour)
			i.failing(code, 0)
			i.hold = make(chan struct{})
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { i.want(t, alice, false, code) })
			}
			synctest.Wait()
			close(i.hold)
			wg.Wait()
			if i.count() != 1 {
				t.Errorf("%q: %d mints", code, i.count())
			}
		})
	}
}

// TestT31_SickIssuer protects those who wait for a sick issuer: measured
// elsewhere, the twentieth waited 10.8 s while each tried by itself. Here one
// slow failure answers everybody at once, whoever they are, and is counted once.
func TestT31_SickIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if id.IsService() {
				time.Sleep(500 * time.Millisecond)
				return nil, delegation.Refuse(delegation.IssuerUnavailable, nil)
			}
			_, _, err := i.view.Get(ctx, service)
			return nil, err
		}
		began := time.Now()
		var wg sync.WaitGroup
		for n := range 20 {
			wg.Go(func() { i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable) })
		}
		wg.Wait()
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("the last was answered after %s", took)
		}
		calls := 0
		for _, subject := range i.mints {
			if subject == "" {
				calls++
			}
		}
		// After a second failure the pause would be longer than the first.
		if s := e.Status(); calls != 1 || time.Until(s.Issuer.Until) > firstPause || s.Remembered != 1 {
			t.Errorf("%d calls at the issuer, %d remembered, breaker %+v; want 1, 1, one failure counted", calls, s.Remembered, s.Issuer)
		}
		// Who comes next does not wait at all.
		began = time.Now()
		i.want(t, person("late"), false, delegation.IssuerUnavailable)
		if time.Since(began) != 0 {
			t.Error("an open breaker kept somebody waiting")
		}
	})
}

// TestT32_LeaderLeaves protects those who wait: the one whose request began
// the mint goes away, and leaves at once; the others get their token.
func TestT32_LeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.hold = make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		leader := make(chan error)
		go func() { _, _, err := i.view.Get(ctx, alice); leader <- err }()
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { i.want(t, alice, false, "") })
		synctest.Wait()
		if e.Status().Waiting != 2 {
			t.Errorf("%d wait", e.Status().Waiting)
		}
		leave()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("leader: %v", err)
		}
		close(i.hold)
		wg.Wait()
		if s := e.Status(); i.count() != 1 || s.Waiting != 0 || s.Minting != 0 || s.Entries != 1 {
			t.Errorf("%d mints, status %+v", i.count(), s)
		}
	})
}

// TestMintHasADeadline protects against an issuer that never answers.
func TestMintHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{Timeout: 3 * time.Second}, time.Hour)
		i.hold = make(chan struct{})
		began := time.Now()
		i.want(t, alice, false, delegation.IssuerUnavailable)
		if time.Since(began) != 3*time.Second {
			t.Errorf("after %s", time.Since(began))
		}
	})
}

// TestPanickingMint protects the server from a provider that panics: in a
// goroutine of its own that would end the process. It is a failure as others
// are, and remembered as long (R14).
func TestPanickingMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.mint = func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
			panic("planted")
		}
		i.want(t, alice, false, delegation.IssuerUnavailable)
		i.mint = nil
		i.want(t, alice, false, delegation.IssuerUnavailable)
		time.Sleep(2 * time.Second)
		i.want(t, alice, false, "")
		if s := e.Status(); s.Minting != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestWaitingIsBounded protects memory, and everybody else, from one person's
// thousand requests and from everybody's.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{maxWaiting: 10, maxWaitingPerPerson: 4}, time.Hour)
		i.failing(delegation.DelegationRefused, 0)
		i.want(t, person("known"), false, delegation.DelegationRefused)
		i.failing("", 0)
		i.hold = make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { i.want(t, alice, false, "") })
		}
		synctest.Wait()
		i.want(t, alice, false, delegation.Overloaded)
		for n := range 6 {
			wg.Go(func() { i.want(t, person(fmt.Sprint(n)), false, "") })
		}
		synctest.Wait()
		began := time.Now()
		i.want(t, person("bob"), false, delegation.Overloaded)
		if time.Since(began) != 0 {
			t.Error("the refusal came late")
		}
		// A remembered refusal needs no place.
		i.want(t, person("known"), false, delegation.DelegationRefused)
		close(i.hold)
		wg.Wait()
		// Nothing of it is remembered.
		i.want(t, alice, true, "")
		i.want(t, person("bob"), false, "")
	})
}

// TestConcurrency protects the issuer from everybody's first request at once,
// and those in the queue from waiting for mints that wait for each other.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{Concurrency: 3}, time.Hour)
		var mu sync.Mutex
		at, peak, services := 0, 0, 0
		call := func(life time.Duration) (*delegation.Token, error) {
			mu.Lock()
			at++
			peak = max(peak, at)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			at--
			mu.Unlock()
			return &delegation.Token{Access: delegation.NewSecret("x"), Minted: time.Now(), Expires: time.Now().Add(life)}, nil
		}
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if id.IsService() {
				services++
				return call(time.Hour)
			}
			if _, _, err := i.view.Get(ctx, service); err != nil {
				return nil, err
			}
			return call(time.Hour)
		}
		var wg sync.WaitGroup
		for n := range 30 {
			wg.Go(func() { i.want(t, person(fmt.Sprint(n)), false, "") })
		}
		wg.Wait()
		if peak != 3 || services != 1 {
			t.Errorf("%d at the issuer at once, %d service tokens; want 3, 1", peak, services)
		}
		if s := e.Status(); s.Minting != 0 {
			t.Errorf("%d slots are still held", s.Minting)
		}
	})
}

// TestRenewOnce protects the issuer from a storm of 401s (T38): however many
// report the same stale token, one mint; and a late report gets the new one.
func TestRenewOnce(t *testing.T) {
	_, i := start(t, Options{}, time.Hour)
	stale, _, _ := i.get(t, alice)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if fresh, err := i.view.Renew(t.Context(), alice, stale); err != nil || fresh == stale {
				t.Errorf("renewed to the stale token: %v", err)
			}
		})
	}
	wg.Wait()
	if i.count() != 2 || i.why[MintStale] != 1 {
		t.Errorf("%d mints, want 2", i.count())
	}
}

// TestSameTokenAgain protects against an issuer that answers with the token it
// gave before: it is asked once for each time that it is reported.
func TestSameTokenAgain(t *testing.T) {
	_, i := start(t, Options{}, time.Hour)
	i.mint = func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
		return &delegation.Token{Access: delegation.NewSecret("always"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
	}
	stale, _, _ := i.get(t, alice)
	if again, err := i.view.Renew(t.Context(), alice, stale); err != nil || !again.Same(stale) {
		t.Errorf("%v, %v", again, err)
	}
	if i.count() != 2 {
		t.Errorf("%d mints", i.count())
	}
}

// TestT02_ScopesDoNotShareAFlight protects against CVE-2025-26620: one user's
// two requests for different scopes at once must not get one token.
func TestT02_ScopesDoNotShareAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{}, time.Hour)
		i.hold = make(chan struct{})
		wider := alice
		wider.Scopes = []string{"s", "w"}
		var narrow, wide *delegation.Token
		var wg sync.WaitGroup
		wg.Go(func() { narrow, _, _ = i.get(t, alice) })
		wg.Go(func() { wide, _, _ = i.get(t, wider) })
		synctest.Wait()
		close(i.hold)
		wg.Wait()
		if i.count() != 2 || narrow.Same(wide) {
			t.Errorf("%d mints for two scope sets", i.count())
		}
	})
}
