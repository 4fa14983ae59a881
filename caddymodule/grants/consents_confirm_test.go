// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// newSourceDesk opens consents of a data source, whose vendor can be told who has left.
func newSourceDesk(t *testing.T, at Options) (*desk, *leaver) {
	t.Helper()
	d, vendor := newDesk(t, at, "redirect"), new(leaver)
	d.o.Source, d.o.Client, d.o.Refresher, d.o.Revoker = "lab", "client at the lab", vendor, vendor
	return d, vendor
}

// comes has somebody come back from the vendor with an account, in the browser of the
// flow.
func (d *desk) comes(name, account string) (*Started, error) {
	d.t.Helper()
	d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-of-" + account), Refresh: delegation.NewSecret("refresh-of-" + account), AccessExpires: time.Now().Add(time.Hour)}
	started := d.begun(name)
	_, err := d.returns(name, started, url.Values{"code": {account + "-" + started.State.Reveal()}})
	return started, err
}

// decides carries out somebody's decision, and tells the vendor.
func (d *desk) decides(name string, started *Started, replace bool) error {
	d.t.Helper()
	ended, err := d.Confirm(d.t.Context(), Confirmation{Person: person(name), BrowserToken: started.BrowserToken.Reveal(), Replace: replace})
	if ended != nil {
		if untold := ended.RevokeGrants(d.t.Context()); untold != nil {
			d.t.Error(untold)
		}
	}
	return err
}

// waits returns the account that waits for somebody in a browser; "" if none.
func (d *desk) waits(name string, started *Started) string {
	d.t.Helper()
	g, err := d.Waiting(d.t.Context(), Confirmation{Person: person(name), BrowserToken: started.BrowserToken.Reveal()})
	if err != nil {
		d.t.Error(err)
	}
	if g == nil {
		return ""
	}
	return g.Account
}

// TestConfirm protects the account that somebody has connected, and the consents that
// nobody decided to end (T63): the connected one serves until its owner decides, also
// on another machine, and only what is not used ends, in either case.
func TestConfirm(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for _, suspended := range []bool{false, true} {
			for _, replace := range []bool{false, true} {
				d, vendor := newSourceDesk(t, at)
				if _, err := d.comes("alice", "1"); err != nil {
					t.Fatal(err)
				}
				served := "1"
				if suspended {
					g, err := d.store.Find(t.Context(), d.owner(person("alice")))
					if err != nil {
						t.Fatal(err)
					}
					if done, err := d.store.Suspend(t.Context(), g, "refused"); !done || err != nil {
						t.Fatalf("%t %v", done, err)
					}
					d.o.Cache.drop(person("alice"))
					served = ""
				}
				started, err := d.comes("alice", "2")
				if !errors.Is(err, delegation.ErrConfirm) || d.waits("alice", started) != "2" || d.account("alice") != served || len(vendor.told) > 0 {
					t.Errorf("%v; %q waits, acts as %q, told %q", err, d.waits("alice", started), d.account("alice"), vendor.told)
				}
				// The redirect again, such as by a reload, redeems and decides nothing.
				if _, err := d.returns("alice", started, nil); !errors.Is(err, delegation.ErrConfirm) {
					t.Errorf("the browser again: %v", err)
				}
				if d.waits("bob", started) != "" || code(d.decides("bob", started, true)) != delegation.FlowExpired || d.waits("alice", &Started{}) != "" {
					t.Error("somebody else sees, or decides")
				}
				if err := d.decides("alice", started, replace); err != nil {
					t.Error(err)
				}
				want, told := served, "access-of-2"
				if replace {
					want, told = "2", "access-of-1"
				}
				if suspended && replace {
					told = "" // the vendor has given another one, or none
				}
				if got := strings.Join(vendor.told, " "); d.account("alice") != want || !strings.Contains(got, told) || len(vendor.told) != 1 {
					t.Errorf("suspended %t, replace %t: acts as %q, told %q", suspended, replace, d.account("alice"), vendor.told)
				}
				if d.waits("alice", started) != "" || d.decides("alice", started, replace) != nil || code(d.decides("alice", started, !replace)) != delegation.FlowExpired {
					t.Error("it is decided twice")
				}
				if len(vendor.told) != 1 || d.account("alice") != want {
					t.Errorf("acts as %q, told %q", d.account("alice"), vendor.told)
				}
				if _, err := d.leaves("alice"); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestConfirmOverdue protects a vendor's consent that nobody uses from going on for
// ever: what was not decided on within an hour is dropped, and the vendor told once,
// whatever machine does so. What can still be decided on stays.
func TestConfirmOverdue(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newSourceDesk(t, at)
		flows := make(map[string]*Started)
		for name, accounts := range map[string][2]string{"alice": {"1", "2"}, "bob": {"3", "4"}, "carol": {"5", "6"}} {
			if _, err := d.comes(name, accounts[0]); err != nil {
				t.Fatal(err)
			}
			flows[name], _ = d.comes(name, accounts[1])
		}
		for _, name := range []string{"alice", "carol"} {
			alter(t, d.store, "UPDATE journeys SET claim_until = 1 WHERE person = '"+d.store.ownerPseudonym(d.owner(person(name)))+"' AND state = 'confirm'")
		}
		if _, err := d.comes("dora", "6"); err != nil { // which waits no more, and is hers from now on
			t.Fatal(err)
		}
		if d.waits("alice", flows["alice"]) != "" || code(d.decides("alice", flows["alice"], true)) != delegation.FlowExpired || d.account("alice") != "1" {
			t.Errorf("decided when it is too late: acts as %q", d.account("alice"))
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := d.keepOnce(t.Context(), newID()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := strings.Join(vendor.told, " "); got != "access-of-2" {
			t.Errorf("told with %q", got)
		}
		if d.account("alice") != "1" || d.account("carol") != "5" || d.account("dora") != "6" || d.waits("bob", flows["bob"]) != "4" {
			t.Errorf("they act as %q, %q and %q; for bob %q waits", d.account("alice"), d.account("carol"), d.account("dora"), d.waits("bob", flows["bob"]))
		}
	})
}

// TestConfirmDuringRefresh protects the new account from a refresh of the former one
// that is under way: what the vendor answers is for nobody any more.
func TestConfirmDuringRefresh(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newSourceDesk(t, at)
		if _, err := d.comes("alice", "1"); err != nil {
			t.Fatal(err)
		}
		started, _ := d.comes("alice", "2")
		began, hang := make(chan struct{}), make(chan struct{})
		spend := func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
			close(began)
			<-hang
			return &delegation.GrantTokens{Access: delegation.NewSecret("late"), Refresh: delegation.NewSecret("later")}, nil
		}
		var refresh sync.WaitGroup
		refresh.Go(func() {
			_, _ = d.Refresh(t.Context(), person("alice"), delegation.NewSecret("access-of-1"), spend) // whose outcome is nobody's
		})
		<-began
		if err := d.decides("alice", started, true); err != nil {
			t.Error(err)
		}
		close(hang)
		refresh.Wait()
		g, err := d.Get(t.Context(), person("alice"))
		if err != nil || g.Account != "2" || g.Tokens.Access.Reveal() != "access-of-2" || len(vendor.told) != 1 {
			t.Errorf("%+v, %v; told %q", g, err, vendor.told)
		}
	})
}

// TestConfirmEnds protects participants from a consent beyond the end of their study: that
// of the account which they have decided for ends when it was to when they began.
func TestConfirmEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, _ := newSourceDesk(t, at)
		if _, err := d.comes("alice", "1"); err != nil {
			t.Fatal(err)
		}
		ends := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		started, err := d.Start(t.Context(), StartRequest{Person: person("alice"), ReturnURL: "https://app.test/return", Ends: ends})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.returns("alice", started, url.Values{"code": {"2-x"}}); !errors.Is(err, delegation.ErrConfirm) {
			t.Fatal(err)
		}
		want(t, "deciding", d.decides("alice", started, true), nil)
		if g, err := d.store.Find(t.Context(), d.owner(person("alice"))); err != nil || g.Account != "2" || !g.Ends.Equal(ends) {
			t.Errorf("account %q ends %v, want %v, %v", g.Account, g.Ends, ends, err)
		}
	})
}
