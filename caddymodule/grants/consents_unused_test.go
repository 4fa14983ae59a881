// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestLeaveDuringExchange protects people who leave while the vendor is answering from
// a consent that stands there and is nobody's here. What somebody has in use of the same
// account, and a result that was refused, are not ended.
func TestLeaveDuringExchange(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "redirect")
		d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1")}
		for name, c := range map[string]struct {
			leaves bool // while the platform is asked
			taken  bool // the account is somebody else's
			nobody bool // is signed in when the browser comes back
			told   string
		}{
			"leaves":                   {leaves: true, told: "access-1"},
			"leaves, nobody signed in": {leaves: true, nobody: true, told: "access-1"},
			"leaves, account taken":    {leaves: true, taken: true},
			"stays":                    {},
			"account taken":            {taken: true},
		} {
			vendor := new(leaver)
			d.o.Revoker = vendor
			account := strings.NewReplacer(" ", "", ",", "").Replace(name)
			if c.taken {
				connected(t, d.store, "holder of "+account, account, "key")
			}
			started := d.begun(name)
			d.during = func() {
				if c.leaves {
					if err := d.store.DeleteByOwner(t.Context(), owner(name)); err != nil {
						t.Error(err)
					}
				}
			}
			request := ReturnRequest{Person: person(name), State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: withCode(account + "-a")}
			if c.nobody {
				request.Person = delegation.Person{}
			}
			if _, err := d.HandleReturn(t.Context(), request); (err != nil) != (c.leaves || c.taken) || errors.Is(err, delegation.ErrPending) {
				t.Errorf("%s: %v", name, err)
			}
			if told := strings.Join(vendor.told, " "); told != c.told {
				t.Errorf("%s: the vendor was told with %q, want %q", name, told, c.told)
			}
		}
	})
}
