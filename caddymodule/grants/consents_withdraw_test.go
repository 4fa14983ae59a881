// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// leaver is a vendor that can be told that somebody has left.
type leaver struct {
	refresher
	mu      sync.Mutex
	told    []string // the access tokens that it was told with
	tellErr error
	during  func()
}

func (l *leaver) RevokeGrant(_ context.Context, g *delegation.Grant) error {
	if l.during != nil {
		l.during()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, g.Tokens.Access.Reveal())
	return l.tellErr
}

// leaves has somebody leave, and the vendor told.
func (d *desk) leaves(name string) (untold, err error) {
	withdrawn, err := d.Withdraw(d.t.Context(), person(name))
	if err != nil {
		return nil, err
	}
	return withdrawn.RevokeGrants(d.t.Context()), nil
}

// TestLeave protects people who have left from staying known to a vendor: it is told
// with an access token that it takes, and once. Whatever it says, nothing is kept here.
func TestLeave(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		for name, c := range map[string]struct {
			ends       time.Duration // of the access token; 0: the vendor does not say
			suspended  bool
			refreshErr error
			tellErr    error
			told       string
		}{
			"lives":      {ends: time.Hour, told: "access-1"},
			"not said":   {told: "access-1"},
			"has ended":  {ends: -time.Hour, told: "access-2"},
			"is refused": {ends: -time.Hour, refreshErr: delegation.Refuse(delegation.DelegationRefused, nil), told: "access-1"},
			"no answer":  {ends: -time.Hour, refreshErr: delegation.Refuse(delegation.IssuerUnavailable, errors.New("away"))},
			"suspended":  {ends: time.Hour, suspended: true, told: "access-2"},
			"away":       {ends: time.Hour, tellErr: delegation.Refuse(delegation.IssuerUnavailable, errors.New("away")), told: "access-1"},
		} {
			vendor := &leaver{refresher: refresher{err: c.refreshErr}, tellErr: c.tellErr}
			d.o.Refresher, d.o.Revoker = vendor, vendor
			d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1")}
			if c.ends != 0 {
				d.tokens.AccessExpires = time.Now().Add(c.ends)
			}
			if _, err := d.hands(d.Consents, name, d.begun(name).BrowserToken, name+"-a"); err != nil {
				t.Fatal(err)
			}
			if c.suspended {
				suspend(t, d.store, name)
			}
			// Nobody acts for them meanwhile, or spends the refresh token.
			vendor.during = func() {
				if g, err := d.store.Find(t.Context(), owner(name)); !errors.Is(err, ErrNotFound) || d.account(name) != "" {
					t.Errorf("%s: in use while the vendor is told: %+v, %v", name, g, err)
				}
			}
			untold, err := d.leaves(name)
			if err != nil || (untold != nil) != (c.tellErr != nil || c.told == "") {
				t.Errorf("%s: %v, %v", name, untold, err)
			}
			if strings.Join(vendor.told, " ") != c.told {
				t.Errorf("%s: told %q", name, vendor.told)
			}
			if _, err := d.store.Find(t.Context(), owner(name)); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: it is kept: %v", name, err)
			}
			if untold, err := d.leaves(name); untold != nil || err != nil || len(vendor.told) != len(strings.Fields(c.told)) {
				t.Errorf("%s: leaving again: %v %v, told %q", name, untold, err, vendor.told)
			}
		}
	})
}
