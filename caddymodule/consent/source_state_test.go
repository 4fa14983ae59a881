// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestSourceState protects pages that draw their buttons from /status: every state
// with what the person can do in it, and nothing that would be refused.
func TestSourceState(t *testing.T) {
	grant := &delegation.Grant{Label: "ada@lab.example"}
	for _, test := range []struct {
		status  delegation.ConsentStatus
		grant   *delegation.Grant
		ended   bool
		missing []string
		want    string
	}{
		{delegation.ConsentNone, nil, false, nil, "none  [] [connect]"},
		{delegation.ConsentPending, nil, false, nil, "pending  [] [connect disconnect]"},
		{delegation.ConsentPending, grant, false, []string{"b"}, "pending ada@lab.example [] [connect disconnect]"},
		{delegation.ConsentConnected, grant, false, nil, "connected ada@lab.example [] [disconnect]"},
		{delegation.ConsentConnected, grant, false, []string{"b"}, "connected ada@lab.example [b] [update disconnect]"},
		{delegation.ConsentUpdate, grant, false, []string{"b"}, "update_required ada@lab.example [] [connect disconnect]"},
		{delegation.ConsentNone, nil, true, nil, "ended  [] []"},
		{delegation.ConsentPending, nil, true, nil, "ended  [] [disconnect]"},
		{delegation.ConsentConnected, grant, true, []string{"b"}, "ended ada@lab.example [] [disconnect]"},
	} {
		s := NewSourceState(test.status, test.grant, test.ended, test.missing)
		if got := fmt.Sprint(s.Status, " ", s.Account, " ", s.MissingScopes, " ", s.Actions); got != test.want {
			t.Errorf("%s, ended %v: %q; want %q", test.status, test.ended, got, test.want)
		}
	}
}

// TestOverall protects pages that wait for a flow by /status?wait: while one source
// is under way, the whole is.
func TestOverall(t *testing.T) {
	all := []delegation.ConsentStatus{delegation.ConsentNone, delegation.ConsentEnded, delegation.ConsentConnected, delegation.ConsentUpdate, delegation.ConsentPending}
	if got := Overall(nil); got != delegation.ConsentNone {
		t.Errorf("no source: %s", got)
	}
	for i, a := range all {
		for _, b := range all[:i+1] {
			want := a
			if a == delegation.ConsentEnded {
				want = delegation.ConsentNone
			}
			if got := Overall(map[string]SourceState{"a": {Status: a}, "b": {Status: b}}); got != want {
				t.Errorf("%s and %s: %s; want %s", a, b, got, want)
			}
		}
	}
}

// TestMissingScopes protects people from being asked for what a vendor only has not
// repeated.
func TestMissingScopes(t *testing.T) {
	needed := []string{"a", "b", "c"}
	for want, granted := range map[string][]string{"[]": nil, "[a b c]": {}, "[a c]": {"b", "d"}} {
		if got := fmt.Sprint(MissingScopes(granted, needed, slices.Contains[[]string])); got != want {
			t.Errorf("granted %v: missing %s; want %s", granted, got, want)
		}
	}
}
