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
	grant, other := &delegation.Grant{Label: "ada@lab.example"}, &delegation.Grant{Label: "ben@lab.example"}
	for _, test := range []struct {
		facts SourceFacts
		want  string
	}{
		{SourceFacts{Status: delegation.ConsentNone}, "none  [] [connect]"},
		{SourceFacts{Status: delegation.ConsentPending}, "pending  [] [connect disconnect] under way"},
		{SourceFacts{Status: delegation.ConsentPending, Grant: grant, Missing: []string{"b"}}, "update_required ada@lab.example [] [connect disconnect] under way"},
		{SourceFacts{Status: delegation.ConsentConnected, Grant: grant}, "connected ada@lab.example [] [disconnect]"},
		{SourceFacts{Status: delegation.ConsentConnected, Grant: grant, Missing: []string{"b"}}, "connected ada@lab.example [b] [update disconnect]"},
		{SourceFacts{Status: delegation.ConsentUpdate, Grant: grant, Missing: []string{"b"}}, "update_required ada@lab.example [] [connect disconnect]"},
		{SourceFacts{Status: delegation.ConsentConnected, Grant: grant, Waiting: other, Missing: []string{"b"}}, "confirm ben@lab.example/ada@lab.example [] [confirm disconnect]"},
		{SourceFacts{Status: delegation.ConsentUpdate, Grant: grant, Waiting: other}, "confirm ben@lab.example/ada@lab.example [] [confirm disconnect]"},
		{SourceFacts{Status: delegation.ConsentPending, Grant: grant, Waiting: other}, "confirm ben@lab.example/ada@lab.example [] [confirm disconnect] under way"},
		{SourceFacts{Status: delegation.ConsentNone, Waiting: other}, "none  [] [connect]"},
		{SourceFacts{Status: delegation.ConsentNone, Ended: true}, "ended  [] []"},
		{SourceFacts{Status: delegation.ConsentPending, Ended: true}, "ended  [] [disconnect]"},
		{SourceFacts{Status: delegation.ConsentConnected, Grant: grant, Waiting: other, Ended: true, Missing: []string{"b"}}, "ended ada@lab.example [] [disconnect]"},
	} {
		s := NewSourceState(test.facts)
		got := fmt.Sprint(s.Status, " ", s.Account)
		if s.CurrentAccount != "" {
			got += "/" + s.CurrentAccount
		}
		if got += fmt.Sprint(" ", s.MissingScopes, " ", s.Actions); s.UnderWay() {
			got += " under way"
		}
		if got != test.want {
			t.Errorf("%+v: %q; want %q", test.facts, got, test.want)
		}
	}
}

// TestOverall protects pages that wait for a flow by /status?wait: while one source
// is under way, the whole is.
func TestOverall(t *testing.T) {
	all := []delegation.ConsentStatus{delegation.ConsentNone, delegation.ConsentEnded, delegation.ConsentConnected, delegation.ConsentUpdate, delegation.ConsentConfirm, delegation.ConsentPending}
	if got := Overall(nil); got != delegation.ConsentNone {
		t.Errorf("no source: %s", got)
	}
	if got := Overall(map[string]SourceState{"a": {Status: delegation.ConsentUpdate, Pending: true}}); got != delegation.ConsentPending {
		t.Errorf("a flow under way beside a grant that has ended: %s", got)
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
