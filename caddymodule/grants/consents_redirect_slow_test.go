// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// lateOutcome is what [ReturnRequest.Late] was called with.
type lateOutcome struct {
	first bool
	err   error
}

// TestRedirectSlow protects people from a vendor that is slower than a browser waits:
// their code is spent, so its exchange goes on, once, for longer than one call may take;
// until then the page is told that it is pending, and in the end how it ended. The
// outcome is recorded although nobody waits for it.
func TestRedirectSlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for name, c := range map[string]struct {
			leaves bool // the browser does, instead of being sent on
			says   delegation.Code
		}{
			"sent on":             {},
			"left":                {leaves: true},
			"sent on and refused": {says: delegation.TokenRejected},
			"sent on and unknown": {says: delegation.IssuerUnavailable},
		} {
			t.Run(name, func(t *testing.T) {
				d := newDesk(t, at, "redirect")
				d.o.RedeemTimeout, d.o.Patience = 2*time.Minute, 10*time.Millisecond
				asked, answers, told := make(chan struct{}, 9), make(chan struct{}), make(chan lateOutcome, 9)
				d.during = func() { asked <- struct{}{}; <-answers }
				d.answer = func(*delegation.Redemption) error {
					if c.says != "" {
						return delegation.Refuse(c.says, nil)
					}
					return nil
				}
				who := "alice " + name
				started := d.begun(who)
				request := ReturnRequest{
					Person: person(who), State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: withCode(name + "-1"),
					Late: func(first bool, err error) { told <- lateOutcome{first, err} },
				}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if c.leaves {
					d.o.Patience = time.Hour
					go func() { <-asked; leave() }()
				}
				want := delegation.ErrPending
				if c.leaves {
					want = context.Canceled
				}
				if first, err := d.HandleReturn(ctx, request); first || !errors.Is(err, want) {
					t.Fatalf("%t %v, want %v", first, err, want)
				}
				if status, err := d.Status(t.Context(), request.Person); status != delegation.ConsentPending || err != nil {
					t.Errorf("meanwhile: %s %v", status, err)
				}
				if first, err := d.returns(who, started, nil); first || !errors.Is(err, delegation.ErrPending) {
					t.Errorf("/status meanwhile: %t %v", first, err)
				}
				close(answers)
				late := <-told
				if code(late.err) != c.says || late.first != (c.says == "") {
					t.Errorf("recorded: %+v", late)
				}
				first, err := d.returns(who, started, nil)
				if status, _ := d.Status(t.Context(), request.Person); first || (err == nil) != (c.says == "") || (status == delegation.ConsentConnected) != (c.says == "") {
					t.Errorf("afterwards: %t %v, %s", first, err, status)
				}
				if n := d.redeemed.Load(); n != 1 || time.Duration(d.left.Load()) < time.Minute || len(told) != 0 {
					t.Errorf("%d exchanges, the first with %s left; recorded %d times more", n, time.Duration(d.left.Load()), len(told))
				}
			})
		}
	})
}

// TestRedirectSlowOfApp protects the user of an app whose vendor is slow: without the
// handle, which there is only at the end, the app could not end the flow.
func TestRedirectSlowOfApp(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		d.o.Patience = time.Nanosecond
		f := d.ticket("alice")
		if refused := d.opens(f, "the-browser-of-the-app-0123456789"); refused != "" {
			t.Fatal(refused)
		}
		handle, refused := d.handle(f, "the-browser-of-the-app-0123456789", withCode("1-a"))
		if refused != "" || handle == "" {
			t.Fatalf("%q %s", handle, refused)
		}
		if first, err := d.Finish(t.Context(), person("alice"), handle); !first || err != nil || d.account("alice") != "1" {
			t.Errorf("%t %v, alice is %q", first, err, d.account("alice"))
		}
	})
}
