// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connectpage"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOutcomeInQuery protects people from a link that tells them that they have
// connected, or disconnected, what they have not.
func TestOutcomeInQuery(t *testing.T) {
	c := new(Connect)
	for _, name := range []string{"lab", "ring", "old", "gone"} {
		c.sources = append(c.sources, &connectSource{name: name, providerSource: &providerSource{guestSource: guestSource{Source: delegation.Source{Title: "The " + name}}}})
	}
	states := map[string]consent.SourceState{
		"lab":  {Status: delegation.ConsentConnected},
		"ring": {Status: delegation.ConsentNone},
		"old":  {Status: delegation.ConsentEnded, Actions: []consent.SourceAction{consent.CanDisconnect}},
		"gone": {Status: delegation.ConsentEnded},
	}
	for query, want := range map[string]connectpage.Outcome{
		"":                                     {},
		"connect=connected&source=lab":         {Code: "connected", Title: "The lab"},
		"connect=connected&source=ring":        {},
		"connect=connected&source=old":         {},
		"connect=connected":                    {Code: "connected"},
		"connect=none":                         {},
		"connect=none&source=lab":              {},
		"connect=none&source=ring":             {Code: "none", Title: "The ring"},
		"connect=none&source=old":              {},
		"connect=none&source=gone":             {Code: "none", Title: "The gone"},
		"connect=pending&source=lab":           {},
		"connect=update_required&source=lab":   {},
		"connect=ended&source=lab":             {},
		"connect=ended&source=old":             {Code: "ended", Title: "The old"},
		"connect=consent_denied&source=lab":    {Code: "consent_denied", Title: "The lab"},
		"connect=account_conflict&source=ring": {Code: "account_conflict", Title: "The ring"},
	} {
		v := &connectRequest{Connect: c, r: httptest.NewRequest(http.MethodGet, "/?"+query, nil)}
		if got := v.outcomeInQuery(states); got != want {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
}
