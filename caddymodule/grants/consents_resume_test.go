// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// refresher is a platform that rotates refresh tokens.
type refresher struct {
	spent []string
	err   error
}

func (r *refresher) RefreshGrant(_ context.Context, g *delegation.Grant, _ bool) (*delegation.GrantTokens, error) {
	r.spent = append(r.spent, g.Tokens.Refresh.Reveal())
	if r.err != nil {
		return nil, r.err
	}
	return &delegation.GrantTokens{Access: delegation.NewSecret("access-2"), Refresh: delegation.NewSecret("refresh-2")}, nil
}

// TestSuspendedGrantIsRefreshed protects somebody whom a vendor in trouble has
// refused: their refresh token is tried again, not before some time, and what it is
// exchanged for is kept. While it is refused they are asked to consent anew.
func TestSuspendedGrantIsRefreshed(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		vendor := &refresher{err: delegation.Refuse(delegation.DelegationRefused, errors.New("invalid_grant"))}
		d.o.Refresher = vendor
		d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1")}
		if _, err := d.hands(d.Consents, "alice", d.begun("alice").BrowserToken, "1-a"); err != nil {
			t.Fatal(err)
		}
		g, err := d.Get(t.Context(), person("alice"))
		if err != nil {
			t.Fatal(err)
		}
		probed := d.probes.Load()
		if r := d.Suspend(t.Context(), g); r == nil {
			t.Fatal("it is not suspended")
		}
		if d.account("alice") != "" || len(vendor.spent) != 0 {
			t.Errorf("it was tried at once: %q", vendor.spent)
		}
		d.resumable()
		for range 2 {
			if d.account("alice") != "" || len(vendor.spent) != 1 {
				t.Errorf("a vendor that refuses was asked %q", vendor.spent)
			}
		}
		d.resumable()
		vendor.err = nil
		other, _ := d.machine(at, "page") // this one waits before it asks again
		other.o.Refresher = vendor
		g, err = other.Get(t.Context(), person("alice"))
		if err != nil || g.Tokens.Access.Reveal() != "access-2" || g.Tokens.Refresh.Reveal() != "refresh-2" {
			t.Fatalf("not resumed: %v", err)
		}
		if len(vendor.spent) != 2 || vendor.spent[1] != "refresh-1" || d.probes.Load() != probed {
			t.Errorf("spent %q, probes %d", vendor.spent, d.probes.Load()-probed)
		}
		if d.account("alice") != "1" {
			t.Error("the other machine does not use it")
		}
	})
}
