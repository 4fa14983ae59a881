// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// connects has somebody connect an account, with an access token of its name.
func (d *desk) connects(name, account string) {
	d.t.Helper()
	d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-of-" + account), Refresh: delegation.NewSecret("refresh-of-" + account), AccessExpires: time.Now().Add(time.Hour)}
	if _, err := d.hands(d.Consents, name, d.begun(name).BrowserToken, account+"-"+name+newID()); err != nil {
		d.t.Fatal(err)
	}
}

// TestLeaveOnce protects a vendor, and the consent that somebody gives next, from being
// told more than once: of many calls at the same time one has the grant.
func TestLeaveOnce(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		vendor := new(leaver)
		d.o.Refresher, d.o.Revoker = vendor, vendor
		d.connects("alice", "1")
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if untold, err := d.leaves("alice"); untold != nil || err != nil {
					t.Errorf("%v, %v", untold, err)
				}
			})
		}
		all.Wait()
		if len(vendor.told) != 1 {
			t.Errorf("told %d times", len(vendor.told))
		}
	})
}

// TestLeaveFormerAccounts protects people who have left from staying known to a vendor
// by an account that they had connected before; and whoever has that account by now
// from losing it.
func TestLeaveFormerAccounts(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		vendor := new(leaver)
		d.o.Refresher, d.o.Revoker = vendor, vendor
		d.connects("bob", "4")
		for _, account := range []string{"1", "2", "3"} {
			d.connects("alice", account)
		}
		if _, err := d.hands(d.Consents, "alice", d.begun("alice").BrowserToken, "4-b"); code(err) != delegation.AccountConflict { // bob's
			t.Fatal(err)
		}
		d.connects("carol", "1") // which alice has no more
		if untold, err := d.leaves("alice"); untold != nil || err != nil {
			t.Errorf("%v, %v", untold, err)
		}
		slices.Sort(vendor.told)
		if got := strings.Join(vendor.told, " "); got != "access-of-2 access-of-3" {
			t.Errorf("told with %s", got)
		}
		if d.account("alice") != "" || d.account("bob") != "4" || d.account("carol") != "1" {
			t.Errorf("they act as %q, %q and %q", d.account("alice"), d.account("bob"), d.account("carol"))
		}
	})
}

// TestLeaveDuringRefresh protects a vendor from being told with an access token that a
// refresh under way replaces, and people from staying connected while one hangs.
func TestLeaveDuringRefresh(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		vendor := new(leaver)
		d.o.Refresher, d.o.Revoker = vendor, vendor
		d.connects("alice", "1")
		began, hang := make(chan struct{}), make(chan struct{})
		spend := func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
			close(began)
			<-hang
			return &delegation.GrantTokens{Access: delegation.NewSecret("access-2"), Refresh: delegation.NewSecret("refresh-2")}, nil
		}
		var refresh sync.WaitGroup
		refresh.Go(func() {
			_, err := d.Refresh(t.Context(), person("alice"), delegation.NewSecret("access-of-1"), spend)
			if code(err) != delegation.ConsentRequired {
				t.Errorf("refreshed by somebody who has left: %v", err)
			}
		})
		<-began
		if untold, err := d.leaves("alice"); untold != nil || err != nil {
			t.Errorf("%v, %v", untold, err)
		}
		close(hang)
		refresh.Wait()
		if d.account("alice") != "" || len(vendor.told) != 1 {
			t.Errorf("acts as %q, told %q", d.account("alice"), vendor.told)
		}
	})
}

// TestLeaveHanging protects whoever waits for the answer from a vendor that never gives
// one, however many accounts it has to be told of.
func TestLeaveHanging(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		vendor := new(hangingVendor)
		d.o.Revoker = vendor
		for _, account := range []string{"1", "2", "3", "4", "5", "6"} {
			d.connects("alice", account)
		}
		d.o.CallTimeout = 50 * time.Millisecond
		if untold, err := d.leaves("alice"); untold == nil || err != nil {
			t.Errorf("%v, %v", untold, err)
		}
		if d.account("alice") != "" || vendor.called == 0 || vendor.called > 3 {
			t.Errorf("acts as %q; %d calls", d.account("alice"), vendor.called)
		}
	})
}

// hangingVendor counts the calls that it was given time for, and answers none.
type hangingVendor struct{ called int }

func (v *hangingVendor) RevokeGrant(ctx context.Context, _ *delegation.Grant) error {
	if ctx.Err() == nil {
		v.called++
	}
	<-ctx.Done()
	return ctx.Err()
}
