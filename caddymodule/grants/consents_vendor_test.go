// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOtherVendor protects people's tokens at one vendor from being sent to another, when
// the addresses of a source are changed or its grants are renamed to another source's:
// the provider never meets such a grant, and its person connects again.
func TestOtherVendor(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for name, c := range map[string]struct {
			before, after string
			ends          time.Duration // of the access token
			suspended     bool
		}{
			"active":              {before: "https://one.test", after: "https://two.test", ends: time.Hour},
			"to be refreshed":     {before: "https://one.test", after: "https://two.test", ends: -time.Hour},
			"suspended":           {before: "https://one.test", after: "https://two.test", ends: time.Hour, suspended: true},
			"without the name":    {after: "https://two.test", ends: time.Hour},
			"of a source without": {before: "https://one.test", ends: time.Hour},
		} {
			d := newDesk(t, at, "page")
			vendor := new(leaver)
			d.o.Refresher, d.o.Revoker, d.o.Vendor = vendor, vendor, c.before
			d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1"), AccessExpires: time.Now().Add(c.ends)}
			connect := func(code string) {
				t.Helper()
				if _, err := d.hands(d.Consents, name, d.begun(name).BrowserToken, code); err != nil {
					t.Fatal(err)
				}
			}
			connect(name + "-a")
			if got := d.account(name); got != name {
				t.Errorf("%s: %q is connected", name, got)
			}
			if c.suspended {
				suspend(t, d.store, name)
				d.resumable()
			}
			d.o.Vendor, d.o.Cache = c.after, NewCache()
			spend := func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
				t.Errorf("%s: its refresh token is spent", name)
				return nil, delegation.ErrNotSent
			}
			_, got := d.Get(t.Context(), person(name))
			_, refreshed := d.Refresh(t.Context(), person(name), delegation.NewSecret("access-1"), spend)
			for _, err := range []error{got, refreshed} {
				if code(err) != delegation.ConsentRequired || !c.suspended && !errors.Is(err, errOtherVendor) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if status, err := d.Status(t.Context(), person(name)); status != delegation.ConsentUpdate || err != nil {
				t.Errorf("%s: %s %v", name, status, err)
			}
			d.answer = func(r *delegation.Redemption) error {
				if r.Grant != nil {
					t.Errorf("%s: the next consent is given it", name)
				}
				return nil
			}
			connect(name + "-b")
			if d.answer = nil; d.lastStart().Grant != nil || d.account(name) != name {
				t.Errorf("%s: connecting again", name)
			}
			// Back at the first vendor, whose grant is no more.
			d.o.Vendor, d.o.Cache = c.before, NewCache()
			if untold, err := d.leaves(name); untold == nil || err != nil || len(vendor.told)+len(vendor.spent) != 0 {
				t.Errorf("%s: leaving: %v %v, told %q, spent %q", name, untold, err, vendor.told, vendor.spent)
			}
			if _, err := d.store.Find(t.Context(), owner(name)); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: it is kept: %v", name, err)
			}
		}
	})
}

// TestVendorStays protects the name of a vendor from what is done to rows: renaming must
// not make a grant one of the vendor that the new name has, nor sealing anew lose it.
func TestVendorStays(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		d.o.Vendor, d.o.Source = "https://one.test", "fitbit"
		if _, err := d.hands(d.Consents, "ada", d.begun("ada").BrowserToken, "1-a"); err != nil {
			t.Fatal(err)
		}
		if _, err := d.store.RenameSource(t.Context(), "mydex", "fitbit", "lab", "root"); err != nil {
			t.Fatal(err)
		}
		d.o.Source, d.o.Vendor = "lab", "https://two.test"
		if _, err := d.Get(t.Context(), person("ada")); !errors.Is(err, errOtherVendor) {
			t.Error(err)
		}
		d.o.Vendor = "https://one.test"
		if got := d.account("ada"); got != "1" {
			t.Errorf("%q is connected", got)
		}
	})
}

// TestOtherVendorOwnsNothing protects somebody whose grant is of another vendor from being
// kept from connecting by it, and the grant of the vendor that is configured now from what
// a flow of before leads to.
func TestOtherVendorOwnsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		inUse Grant
		want  consent.Ownership
	}{
		"another account of it":    {Grant{Account: "2", State: Active, Vendor: "one", sequence: 1}, consent.OwnsNothing},
		"the same account of it":   {Grant{Account: "1", State: Suspended, Vendor: "one", sequence: 1}, consent.OwnsNothing},
		"later than the result":    {Grant{Account: "1", State: Active, Vendor: "one", sequence: 3}, consent.OwnsActiveOtherNewer},
		"this vendor's (control)":  {Grant{Account: "2", State: Active, Vendor: "two", sequence: 1}, consent.OwnsActiveOther},
		"this vendor's same (too)": {Grant{Account: "1", State: Active, Vendor: "two", sequence: 1}, consent.OwnsActiveSame},
	} {
		if got := ownershipOf(&Grant{Account: "1", Vendor: "two", sequence: 2}, &c.inUse); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
