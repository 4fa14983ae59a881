// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"net/http"
	"strings"
	"testing"
)

// TestCookie protects flows from each other in the one cookie that they have,
// and the cookie from what anybody's page can put into an address.
func TestCookie(t *testing.T) {
	for value, want := range map[string]string{
		"": " []", "A": "A []", "A.B": "A [B]", ".B": " [B]", "A.B.C.D": "A [B C D]", "A.B.C.D.E": "A [B C D]",
		"A.": " []", "A..B": " []", "A B": " []", "A.B_": " []", "A." + strings.Repeat("B", 65): " []",
	} {
		c := ParseCookie(value)
		if got := c.BrowserToken + " [" + strings.Join(c.pendingStates, " ") + "]"; got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	for what, c := range map[string]struct {
		change func(*Cookie)
		want   string
	}{
		"nothing":         {func(*Cookie) {}, "A.B"},
		"the same":        {func(c *Cookie) { c.AddPending("B") }, "A.B"},
		"another":         {func(c *Cookie) { c.AddPending("C") }, "A.C.B"},
		"too many":        {func(c *Cookie) { c.AddPending("C"); c.AddPending("D"); c.AddPending("E") }, "A.E.D.C"},
		"over":            {func(c *Cookie) { c.Remove("B") }, "A"},
		"another's over":  {func(c *Cookie) { c.Remove("C") }, "A.B"},
		"all of it over":  {func(c *Cookie) { c.Remove("B"); c.BrowserToken = "" }, ""},
		"begun once more": {func(c *Cookie) { c.BrowserToken = "N" }, "N.B"},
	} {
		cookie := ParseCookie("A.B")
		c.change(cookie)
		if got := cookie.String(); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// TestHTTPCookie protects the browser token from scripts, from networks and from
// subdomains, and lets it come back from the platform's site.
func TestHTTPCookie(t *testing.T) {
	c := HTTPCookie("mydex", "", true)
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Name != "__Host-delegate_mydex" {
		t.Errorf("https: %+v", c)
	}
	if c = HTTPCookie("mydex", "", false); !c.HttpOnly || c.Secure || c.Name != "delegate_mydex" {
		t.Errorf("http: %+v", c)
	}
	if c = HTTPCookie("my dex", "", true); c.Valid() == nil {
		t.Error("a name that no cookie can have is valid")
	}
	names := make(map[string]bool)
	for _, of := range [][2]string{{"a", ""}, {"a", "b"}, {"a.b", ""}, {"a.b", "c"}, {"a.b.c", ""}, {"source_a.b", ""}, {"-source_a.b", ""}} {
		c := HTTPCookie(of[0], of[1], true)
		if names[c.Name] || c.Valid() != nil {
			t.Errorf("%v: flows of another have the cookie %s as well", of, c.Name)
		}
		names[c.Name] = true
	}
}

// FuzzCookie protects the server from what a client makes of its cookie: what is
// kept of it is bounded, and is written as it was read.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"", "A", "A.B.C", "A~AAAAABBBBBBBB", "A.B~AAAAABBBBBBBB.AAAAABACK", "~", "A~.", "A~~", strings.Repeat("A.", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		first := ParseCookie(value)
		if len(first.pendingStates) > maxPendingStates || len(first.ownFlows) > maxOwnFlows || len(formatOwnFlows(first.ownFlows)) > maxOwnFlows*65 {
			t.Fatalf("%q: %+v", value, first)
		}
		if again := ParseCookie(first.String()); again.String() != first.String() || again.BrowserToken != first.BrowserToken {
			t.Fatalf("%q was read as %+v, and that as %+v", value, first, again)
		}
	})
}
