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

// TestNestedMintIsPartOfTheProbe protects everybody from a breaker that never
// closes again: the one mint that finds out whether the issuer is back may need
// a service token first, and must not be refused that because it is the probe.
func TestNestedMintIsPartOfTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if !id.IsService() {
				if _, _, err := i.view.Get(ctx, service); err != nil {
					return nil, err
				}
			}
			return &delegation.Token{Access: delegation.NewSecret(id.Subject), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		i.failing(delegation.IssuerUnavailable, 0)
		for n := range distinct {
			i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable)
		}
		i.failing("", 0)
		time.Sleep(firstPause)
		i.want(t, alice, false, "")
		if s := e.Status().Issuer; s.State != Closed {
			t.Errorf("breaker %+v", s)
		}
	})
}

// TestLateFailureIsNoNews protects everybody from a longer pause than the
// issuer's failure is worth: what began before the breaker opened and fails
// while it is open, or half open, neither opens it again nor keeps it open.
func TestLateFailureIsNoNews(t *testing.T) {
	for _, late := range []time.Duration{firstPause / 2, 2 * firstPause} {
		synctest.Test(t, func(t *testing.T) {
			e, i := start(t, Options{}, time.Hour)
			i.mint = func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
				if id.Subject == "late" {
					time.Sleep(late)
				}
				return nil, delegation.Refuse(delegation.IssuerUnavailable, nil)
			}
			done := make(chan struct{})
			go func() { i.want(t, person("late"), false, delegation.IssuerUnavailable); close(done) }()
			synctest.Wait()
			for n := range distinct {
				i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable)
			}
			until := e.Status().Issuer.Until
			<-done
			if s := e.Status().Issuer; s.State == Open && !s.Until.Equal(until) || s.State == Closed || s.State == Open && late > firstPause {
				t.Errorf("%s late: %+v, before until %s", late, s, until)
			}
		})
	}
}

// TestLateFailureIsNotTheProbes protects the issuer from two probes at once,
// and everybody from a longer pause: what began before the breaker opened and
// fails while one mint finds out whether the issuer is back is not that one.
func TestLateFailureIsNotTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.mint = func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			switch id.Subject {
			case "late":
				time.Sleep(2 * firstPause)
			case "probe":
				time.Sleep(5 * firstPause)
				return &delegation.Token{Access: delegation.NewSecret("x"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
			}
			return nil, delegation.Refuse(delegation.IssuerUnavailable, nil)
		}
		late, probe := make(chan struct{}), make(chan struct{})
		go func() { i.want(t, person("late"), false, delegation.IssuerUnavailable); close(late) }()
		synctest.Wait()
		for n := range distinct {
			i.want(t, person(fmt.Sprint(n)), false, delegation.IssuerUnavailable)
		}
		time.Sleep(firstPause)
		go func() { i.want(t, person("probe"), false, ""); close(probe) }()
		<-late
		if s := e.Status().Issuer; s.State != HalfOpen {
			t.Errorf("breaker %+v", s)
		}
		time.Sleep(2 * firstPause)
		before := i.count()
		i.want(t, person("second"), false, delegation.IssuerUnavailable)
		if i.count() != before {
			t.Errorf("%d more probes", i.count()-before)
		}
		<-probe
		if s := e.Status().Issuer; s.State != Closed {
			t.Errorf("breaker %+v after a probe that succeeded", s)
		}
	})
}

// TestRefusalIsAnAnswer protects everybody from a breaker that is open for an
// issuer that is well: one that refuses a person has answered, so it is not
// failing in a row, and a probe that is refused closes the breaker.
func TestRefusalIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		ask := func(name string, code delegation.Code, after circuit.State) {
			t.Helper()
			i.failing(code, 0)
			i.want(t, person(name), false, code)
			if s := e.Status().Issuer; s.State != after {
				t.Errorf("breaker %+v after %s; want %s", s, name, after)
			}
		}
		ask("1st", delegation.IssuerUnavailable, Closed)
		ask("2nd", delegation.IssuerUnavailable, Closed)
		ask("refused", delegation.DelegationRefused, Closed)
		ask("1st after", delegation.IssuerUnavailable, Closed)
		ask("2nd after", delegation.IssuerUnavailable, Closed)
		ask("3rd after", delegation.IssuerUnavailable, Open)
		time.Sleep(firstPause)
		ask("refused probe", delegation.DelegationRefused, Closed)
	})
}
