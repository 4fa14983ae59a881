// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

const formType = "application/x-www-form-urlencoded"

// vendorLink is the one link of the page that leads to the vendor.
var vendorLink = regexp.MustCompile(`<a [^>]*href="(http://[^"]+/oauth2/authorize[^"]*)"[^>]*>`)

// navigates opens an address as a browser does that comes from a site.
func (b *browser) navigates(target, site string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, target, "", "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
}

// submits posts a form of our page.
func (b *browser) submits(target, fields string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, target, fields, "Content-Type", formType, "Origin", b.URL(), "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
}

// isPage wants an answer to be one of our pages, by its status, with texts on it, and
// with a policy under which nothing foreign runs.
func isPage(t testing.TB, a answer, status int, texts ...string) {
	t.Helper()
	if a.StatusCode != status || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s %s", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
		a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("headers %v", a.Header)
	}
	shown := html.UnescapeString(a.body)
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			t.Errorf("the page has no %q: %s", text, a.body)
		}
	}
}

// TestSourcesPage protects people without script: by forms and links alone they
// connect, see as whom and with what, and disconnect.
func TestSourcesPage(t *testing.T) {
	c := startSources(t, "", "page \"Sleep study\"\n\t\t\tsign_in /login?next=/connect/")
	nobody := c.browser("")
	if a := nobody.navigates("/connect/", "none"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=/connect/" {
		t.Errorf("nobody: %d %q", a.StatusCode, a.Header.Get("Location"))
	}
	// A redirect to a sign-in elsewhere would be blocked by the page's form-action.
	isPage(t, nobody.submits("/connect/start/city_lab", ""), http.StatusUnauthorized, "/login?next=/connect/")

	b := c.browser("alice")
	isPage(t, b.navigates("/connect/", "none"), http.StatusOK, "Sleep study", "alice", "City lab", "Harbor lab", `action="/connect/start/city_lab"`)
	a := b.submits("/connect/start/city_lab", "")
	isPage(t, a, http.StatusOK, "alice", "City lab")
	links := vendorLink.FindAllStringSubmatch(a.body, -1)
	if len(links) != 1 || !strings.Contains(links[0][0], "noreferrer") {
		t.Fatalf("links to the vendor: %v", links)
	}
	to := c.comesBack(b, c.decides(c.city, html.UnescapeString(links[0][1]), sources.Decision{Account: accountID(1)}))
	if to != b.URL()+"/connect/?connect=connected&source=city_lab" {
		t.Fatalf("sent to %q", to)
	}
	isPage(t, b.navigates(to, "cross-site"), http.StatusOK, "ben@people.example", `action="/connect/disconnect/city_lab"`, "/profile?tab=data&connect=connected")

	denied := c.decides(c.harbor, c.begins(b, "/start/harbor_lab", ""), sources.Decision{Deny: true})
	if to = c.comesBack(b, denied); !strings.HasSuffix(to, "/connect/?connect=consent_denied&source=harbor_lab") {
		t.Errorf("denied: sent to %q", to)
	}
	isPage(t, b.navigates(to, "cross-site"), http.StatusOK, "Harbor lab")

	if a = b.submits("/connect/disconnect/city_lab", ""); a.StatusCode != http.StatusSeeOther || !strings.HasSuffix(a.Header.Get("Location"), "/connect/?connect=none&source=city_lab") {
		t.Errorf("disconnect: %d %q %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	c.is(b, "city_lab", "none   connect")
}

// TestSourcesPageAbuse protects people from pages that other sites open or post to
// (T68): the page is for navigations, forms are for this site's pages, and what a link
// says is not repeated.
func TestSourcesPageAbuse(t *testing.T) {
	c := startSources(t, "", "page")
	b := c.browser("alice")
	isCode(t, b.do(http.MethodGet, "/connect/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), http.StatusForbidden, "cross_origin")
	isCode(t, b.do(http.MethodGet, "/connect/", "", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "empty"), http.StatusForbidden, "cross_origin")
	isCode(t, b.do(http.MethodGet, "/connect/page.js", "", "Service-Worker", "script"), http.StatusForbidden, "route_denied")
	a := b.do(http.MethodPost, "/connect/start/city_lab", "", "Content-Type", formType, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	isPage(t, a, http.StatusForbidden)
	if vendorLink.MatchString(a.body) || !strings.Contains(a.Header.Get("Proxy-Status"), "cross_origin") {
		t.Errorf("%s %s", a.Header.Get("Proxy-Status"), a.body)
	}
	text := url.QueryEscape(`<script>"canary-in-a-link"`)
	a = b.navigates("/connect/?connect="+text+"&source="+text, "cross-site")
	isPage(t, a, http.StatusOK)
	if strings.Contains(a.body, "canary-in-a-link") {
		t.Errorf("the page repeats what a link says: %s", a.body)
	}
	isPage(t, c.browser("").navigates("/connect/", "none"), http.StatusUnauthorized) // without sign_in
}

// TestSourcesAssets protects the page from a server without its script, style sheet
// and logos, and everybody from a logo that runs script.
func TestSourcesAssets(t *testing.T) {
	c := startSources(t, "logo "+newLogo(t), "page")
	for path, kind := range map[string]string{"/connect.js": "text/javascript", "/page.js": "text/javascript", "/style.css": "text/css", "/logo/city_lab": "image/svg+xml"} {
		a := c.browser("").do(http.MethodGet, "/connect"+path, "")
		if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.body == "" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", path, a.Header)
		}
		isCode(t, c.browser("alice").do(http.MethodPost, "/connect"+path, ""), http.StatusMethodNotAllowed, "method_not_allowed")
	}
	isPage(t, c.browser("alice").navigates("/connect/", "none"), http.StatusOK, "/connect/logo/city_lab")
}

// TestSourcesEnded protects people from a vendor that has ended: nobody is sent there,
// and who is connected can still disconnect.
func TestSourcesEnded(t *testing.T) {
	c := startSources(t, "", "page")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 0)
	c.use("ended 2026-01-31", "page")
	c.is(b, "city_lab", "ended ada@people.example  disconnect")
	c.is(b, "harbor_lab", "ended  ")
	isCode(t, b.do(http.MethodPost, "/connect/start/harbor_lab", ""), http.StatusForbidden, "route_denied")
	if a := b.do(http.MethodGet, "/connect/status", ""); !strings.HasPrefix(a.body, `{"sources"`) || !strings.Contains(a.body, `"status":"none"}`) || !strings.Contains(a.body, `"actions":[]`) {
		t.Errorf("status: %s", a.body)
	}
	isPage(t, b.navigates("/connect/", "none"), http.StatusOK, "City lab", `action="/connect/disconnect/city_lab"`)
	if a := b.do(http.MethodDelete, "/connect/city_lab", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("disconnect: %d %s", a.StatusCode, a.body)
	}
}
