// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
)

// TestC16_PageAfterConsent protects apps that route by hash, keep a tab in the
// query, or have their pages on another origin: the browser comes back to the
// page that is meant, and the outcome is in its query.
func TestC16_PageAfterConsent(t *testing.T) {
	c := startMydex(t, "\n\t\ttrusted_origins https://www.example.org capacitor://localhost", "")
	text := c.caddyfile("\n\t\ttrusted_origins https://www.example.org capacitor://localhost", "")
	member := c.mydex.Members()
	for i, page := range []struct{ then, want string }{
		{"/profile?tab=mydex", "/profile?tab=mydex&connect=connected"},
		{"/#/settings", "/?connect=connected#/settings"},
		{"http://127.0.0.1:[[.Port]]/p#x", "/p?connect=connected#x"},
		{"https://www.example.org/app?a=b#/c", "https://www.example.org/app?a=b&connect=connected#/c"},
		{"capacitor://localhost/#/settings", "capacitor://localhost/?connect=connected#/settings"},
	} {
		load(t, c.Stack, strings.Replace(text, "then     /profile", "then     "+page.then, 1))
		c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
		alice := c.browser("user-" + string(rune('a'+i)))
		to := alice.agree(alice.start("/start"), member[i].UID)
		a := alice.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		if got := strings.TrimPrefix(a.Header.Get("Location"), c.URL()); a.StatusCode != http.StatusSeeOther || got != page.want {
			t.Errorf("then %s: %d, to %q, want %q", page.then, a.StatusCode, got, page.want)
		}
	}
	for _, then := range []string{"https://evil.example/", "https://www.example.org.evil.example/", "//www.example.org/", "javascript:alert(1)", "https://www.example.org@evil.example/"} {
		if err := c.Load(strings.Replace(text, "then     /profile", "then     "+then, 1)); err == nil || !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), "then ") {
			t.Errorf("then %s: %v; want an error with the line", then, err)
		}
	}
}

// TestC16_PageInJSON protects who writes JSON, or has the directive's own
// address in the environment, from a page that the Caddyfile would refuse.
func TestC16_PageInJSON(t *testing.T) {
	c := startMydex(t, "", "")
	t.Setenv("CONNECT_URL", "https://app.example.org/connect/mydex")
	text := strings.Replace(c.caddyfile("", ""), "http://127.0.0.1:[[.Port]]/connect/mydex", "{env.CONNECT_URL}", 1)
	for then, loads := range map[string]bool{
		"https://app.example.org/profile#x": true,
		"https://evil.example/profile":      false,
	} {
		err := c.Load(strings.Replace(text, "then     /profile", "then     "+then, 1))
		if (err == nil) != loads || err != nil && !strings.Contains(err.Error(), "trusted_origins") {
			t.Errorf("then %s: %v", then, err)
		}
	}
}
