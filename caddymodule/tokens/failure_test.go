// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT33_OnePersonsRefusalIsTheirs protects everybody from one person whom the
// issuer refuses (traefikoidc opened its breaker for all): it is remembered
// for them, and for nobody else, however often they come back.
func TestT33_OnePersonsRefusalIsTheirs(t *testing.T) {
	for _, code := range []delegation.Code{
		delegation.DelegationRefused, delegation.ScopeRejected, delegation.ParticipantWithdrawn,
		delegation.IssuerThrottled, delegation.IssuerUnavailable, delegation.CredentialsRejected,
	} {
		synctest.Test(t, func(t *testing.T) {
			e, i := start(t, Options{}, time.Hour)
			i.mint = func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
				if id.Subject == "mallory" {
					return nil, &delegation.Refusal{Code: code}
				}
				return &delegation.Token{Access: delegation.NewSecret(id.Subject), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
			}
			for range 600 { // ten a second, for a minute
				i.want(t, person("mallory"), false, code)
				time.Sleep(100 * time.Millisecond)
			}
			if n := i.count(); n > 10 {
				t.Errorf("%s: the issuer was asked %d times in a minute", code, n)
			}
			i.want(t, alice, false, "")
			if s := e.Status().Issuer; s.State != Closed {
				t.Errorf("%s: breaker %+v", code, s)
			}
		})
	}
}

// TestT33_WaitersCountOnce protects the breaker from counting one failure as
// often as there were people waiting for it.
func TestT33_WaitersCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.failing(delegation.IssuerUnavailable, 0)
		i.hold = make(chan struct{})
		done := make(chan struct{})
		for range 50 {
			go func() { i.want(t, alice, false, delegation.IssuerUnavailable); done <- struct{}{} }()
		}
		synctest.Wait()
		close(i.hold)
		for range 50 {
			<-done
		}
		if s := e.Status(); i.count() != 1 || s.Issuer.State != Closed {
			t.Errorf("%d mints, %+v", i.count(), s)
		}
		// It takes two others until everybody is believed to be hit.
		for n, state := range []circuit.State{Closed, Open} {
			i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable)
			if s := e.Status().Issuer; s.State != state {
				t.Errorf("%+v after %d others", s, n+1)
			}
		}
	})
}

// TestBreakerOpens protects an issuer that fails for everybody, and those who
// would wait for it: a few people's failures in a row are enough; then one
// request at a time finds out whether it is back.
func TestBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.get(t, alice)
		i.failing(delegation.IssuerUnavailable, 0)
		for n := range distinct {
			i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable)
		}
		if s := e.Status().Issuer; s.State != Open || s.Code != delegation.IssuerUnavailable || s.Until.IsZero() {
			t.Fatalf("breaker %+v", s)
		}
		asked := i.count()
		_, _, err := i.view.Get(t.Context(), person("late"))
		if r := delegation.AsRefusal(err); r.Code != delegation.IssuerUnavailable || r.RetryAfter <= 0 || r.RetryAfter > time.Second {
			t.Errorf("%v, retry after %s", r, r.RetryAfter)
		}
		i.want(t, alice, true, "") // whoever has a token does not notice
		if i.count() != asked {
			t.Error("the issuer was asked although the breaker is open")
		}

		// Half open: one asks, the others do not.
		time.Sleep(time.Second)
		if s := e.Status().Issuer; s.State != HalfOpen {
			t.Errorf("breaker %+v", s)
		}
		i.hold = make(chan struct{})
		done := make(chan struct{})
		for n := range 10 {
			go func() {
				i.want(t, person(fmt.Sprint("half ", n)), false, delegation.IssuerUnavailable)
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		if n := i.count() - asked; n != 1 {
			t.Errorf("%d probes", n)
		}
		close(i.hold)
		for range 10 {
			<-done
		}
		if s := e.Status().Issuer; s.State != Open || time.Until(s.Until) <= time.Second {
			t.Errorf("after a failed probe: %+v, in %s; want a longer pause", s, time.Until(s.Until))
		}
		// It is back.
		i.failing("", 0)
		time.Sleep(2 * time.Second)
		i.want(t, person("back"), false, "")
		i.want(t, person("and all"), false, "")
		if s := e.Status().Issuer; s.State != Closed {
			t.Errorf("breaker %+v", s)
		}
	})
}

// TestProbeThatLearnsNothing protects against a breaker that stays half open
// for ever because its one probe ended without an answer.
func TestProbeThatLearnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.failing(delegation.CredentialsRejected, 0)
		for n := range distinct {
			i.want(t, person(fmt.Sprint(n)), false, delegation.CredentialsRejected)
		}
		time.Sleep(rejectedPause)
		i.failing("", 0)
		i.mint = func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
			panic("planted")
		}
		i.want(t, alice, false, delegation.IssuerUnavailable)
		i.mint = nil
		time.Sleep(maxPause)
		i.want(t, person("bob"), false, "")
		if s := e.Status().Issuer; s.State != Closed {
			t.Errorf("%+v", s)
		}
	})
}

// TestT35_RetryAfter protects from both ends of what an issuer may ask: the
// pause it wants is kept, and one of 30 years is not.
func TestT35_RetryAfter(t *testing.T) {
	for asked, kept := range map[time.Duration]time.Duration{
		20 * time.Second:      20 * time.Second,
		1_000_000 * time.Hour: delegation.MaxRetryAfter,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{}, time.Hour)
			i.failing(delegation.IssuerThrottled, asked)
			i.want(t, alice, false, delegation.IssuerThrottled)
			i.failing("", 0)
			time.Sleep(kept - time.Millisecond)
			i.want(t, alice, false, delegation.IssuerThrottled)
			time.Sleep(time.Millisecond)
			i.want(t, alice, false, "")
		})
	}
}

// TestT35_ThrottledForAll tells a limit on one person from one on the client:
// the first stops nobody else, the second everybody.
func TestT35_ThrottledForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		throttle := &delegation.Refusal{Code: delegation.IssuerThrottled, RetryAfter: 40 * time.Second}
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if id.IsService() {
				return nil, throttle
			}
			_, _, err := i.view.Get(ctx, service)
			return nil, err
		}
		i.want(t, alice, false, delegation.IssuerThrottled)
		if s := e.Status().Issuer; s.State != Open || time.Until(s.Until) != 40*time.Second {
			t.Errorf("the service token was throttled, the breaker is %+v", s)
		}
		asked := i.count()
		i.want(t, person("bob"), false, delegation.IssuerThrottled)
		if i.count() != asked {
			t.Error("somebody else's mint went to a throttling issuer")
		}
	})
}

// TestServiceTokenRenewal protects against a storm when the service token is
// renewed or purged: the delegated tokens stay as they are, and those that are
// being minted share one new service token.
func TestServiceTokenRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{Concurrency: 4}, time.Hour)
		services := 0
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			time.Sleep(10 * time.Millisecond)
			if id.IsService() {
				services++
			} else if _, _, err := i.view.Get(ctx, service); err != nil {
				return nil, err
			}
			return &delegation.Token{Access: delegation.NewSecret(fmt.Sprint(id.Subject, services)), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		for n := range 20 {
			i.get(t, person(fmt.Sprint(n)))
		}
		stale, _, _ := i.get(t, service)
		e.entries.Delete(delegation.Person{}, testKeys.identityKey(&service))
		done := make(chan struct{})
		for n := range 40 {
			go func() { i.get(t, person(fmt.Sprint(n))); done <- struct{}{} }()
			go func() { _, _ = i.view.Renew(t.Context(), service, stale); done <- struct{}{} }()
		}
		for range 80 {
			<-done
		}
		if services != 2 || i.count() != 40+2 {
			t.Errorf("%d service tokens, %d mints; want 2, 42", services, i.count())
		}
	})
}

// TestAFewDoNotHoldTheBreaker protects everybody from three accounts of one
// attacker for whom the issuer always fails: they may open the breaker, for a
// second, and not keep it open.
func TestAFewDoNotHoldTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{}, time.Hour)
		i.mint = func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if id.Subject[0] == '!' {
				return nil, delegation.Refuse(delegation.IssuerUnavailable, nil)
			}
			return &delegation.Token{Access: delegation.NewSecret(id.Subject), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		served := 0
		for n := range 6000 { // ten minutes
			i.get(t, person(fmt.Sprint("!", n%3)))
			if n%10 == 9 {
				if _, _, code := i.get(t, person(fmt.Sprint(n))); code == "" {
					served++
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if served < 590 {
			t.Errorf("%d of 600 honest people were served", served)
		}
	})
}

// TestSuccessForgetsFailures protects somebody whose trouble was over from
// waiting longer for the next: pauses grow with failures in a row only.
func TestSuccessForgetsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Minute)
		for range 3 {
			i.failing(delegation.IssuerUnavailable, 0)
			_, _, err := i.view.Get(t.Context(), alice)
			if r := delegation.AsRefusal(err); r.Code != delegation.IssuerUnavailable || r.RetryAfter > firstPause {
				t.Errorf("%v, retry after %s", r, r.RetryAfter)
			}
			i.failing("", 0)
			time.Sleep(firstPause)
			i.want(t, alice, false, "")
			if n := e.Status().Remembered; n != 0 {
				t.Errorf("%d failures are remembered after a success", n)
			}
			time.Sleep(time.Minute) // the token lapses
		}
	})
}
