// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// shelfCaddyfile is a Caddyfile whose provider has the sources of the given lines,
// with the given lines of the policy.
func shelfCaddyfile(s *stack.Stack, sources, allow string) string {
	return administered(`{` + stack.Options + `
	delegate {
		provider shelf {
			` + sources + `
		}
		grants sqlite ` + filepath.Join(s.Dir, "grants", "grants.db") + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /data/* {` + stack.SignIn + `
		delegate_proxy shelf {
			subject {rp.header.Remote-User}
			` + allow + `
		}
	}
	handle_path /connect/* {` + stack.SignIn + `
		delegate_connect shelf {
			url     http://127.0.0.1:[[.Port]]/connect
			subject {rp.header.Remote-User}
		}
	}
}
`)
}

const shelfPolicy = "allow GET /lab/** read\n allow POST /lab/** write\n allow GET /oura/v2/* read"

// TestSourcesOfAThirdParty protects each source's grants and data with a provider that
// knows nothing of the host but package delegation: what is connected at one is of no
// use for another, less than a route needs is asked for, and operators see which
// source it was.
func TestSourcesOfAThirdParty(t *testing.T) {
	lab, oura := newVendor(t), newVendor(t)
	c := &connection{Stack: newStack(t), t: t}
	caddyfile, file := logged(t, shelfCaddyfile(c.Stack, "lab "+lab.URL+"/R4\n oura "+oura.URL, shelfPolicy))
	load(t, c.Stack, caddyfile)
	alice := c.browser("alice")
	isCode(t, alice.do(http.MethodGet, "/data/lab/x", ""), http.StatusForbidden, "consent_required")
	alice.connectsTo(t, "lab", "ada.read")
	if a := alice.do(http.MethodGet, "/data/lab/x?"+url.Values{"Location": {"/R4/next"}}.Encode(), ""); a.Header.Get("Location") != "/data/lab/next" {
		t.Errorf("%d, sent to %q", a.StatusCode, a.Header.Get("Location"))
	}
	if got := lab.seen(); !strings.HasPrefix(got, "GET /R4/x?") || !strings.HasSuffix(got, "Bearer token-of-ada-at-lab") {
		t.Errorf("the lab was asked %s", got)
	}
	isCode(t, alice.do(http.MethodGet, "/data/oura/v2/sleep", ""), http.StatusForbidden, "consent_required")
	if a := alice.do(http.MethodPost, "/data/lab/x", ""); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, `"required_scopes":["write"]`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	alice.connectsTo(t, "oura", "ada.read,write") // the same account's name at another vendor is another account
	alice.do(http.MethodGet, "/data/oura/v2/sleep", "")
	if got, other := oura.seen(), lab.seen(); got != "GET /v2/sleep Bearer token-of-ada-at-oura" || other != "" {
		t.Errorf("oura was asked %s, the lab %s", got, other)
	}

	alice.do(http.MethodGet, "/data/lab/x", "") // both grants are in memory
	office := newAdmin(t, c.Stack)
	metrics := office.send(http.MethodGet, "/metrics", "").body
	for _, want := range []string{
		`consents_total{event="connected",provider="shelf",source="lab"} `, `consents_total{event="connected",provider="shelf",source="oura"} `,
		`requests_total{outcome="forwarded",provider="shelf",source="oura"} `, `requests_total{outcome="consent_required",provider="shelf",source="lab"} `,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("not in the metrics: %s", want)
		}
	}
	purge := office.send(http.MethodPost, "/delegate/purge", `{"provider":"shelf","realm":"default","subject":"alice"}`)
	if !strings.Contains(purge.body, `"lookups":2`) {
		t.Errorf("the purge: %d %s", purge.StatusCode, purge.body)
	}

	// A source that is not there any more has its grants, and the operator is told.
	load(t, c.Stack, strings.NewReplacer("oura "+oura.URL, "", "allow GET /oura/v2/* read", "").Replace(caddyfile))
	if a := alice.do(http.MethodGet, "/data/lab/x", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the source that is left: %d %s", a.StatusCode, a.body)
	}
	isCode(t, alice.do(http.MethodGet, "/data/oura/v2/sleep", ""), http.StatusForbidden, "route_denied")
	consents, text := lines(t, file, "consent")
	if len(consents) == 0 || consents[0]["source"] != "lab" || consents[len(consents)-1]["source"] != "oura" {
		t.Errorf("the log has the consents %v", consents)
	}
	if !strings.Contains(text, "there are grants of sources that are not configured: 1 of source oura of provider shelf") {
		t.Error("the log does not say that grants are left behind")
	}
	if !strings.Contains(text, `"msg":"refused","provider":"shelf","source":"lab"`) || strings.Contains(text, "token-of-") {
		t.Errorf("the log:\n%s", text)
	}
}

// TestSourcesPolicyAtLoad protects people from a line that opens more than the operator
// has meant: such a configuration does not load, and the one before goes on.
func TestSourcesPolicyAtLoad(t *testing.T) {
	lab := newVendor(t)
	s := newStack(t)
	for allow, want := range map[string]string{
		"allow GET /**":             "names the source that it goes to, one of lab",
		"allow GET /oura/x":         "names the source that it goes to, one of lab",
		"allow GET /lab":            "write /lab/**",
		"allow GET /lab/x delete":   "not among those of source lab",
		"allow GET /lab/x read":     "",
		"allow websocket /lab/live": "",
	} {
		err := s.Load(shelfCaddyfile(s, "lab "+lab.URL, allow))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v; want %q", allow, err, want)
		}
	}
}

// TestSourcesConnections protects a source's data from another source's proxy: each is
// reached by its own settings.
func TestSourcesConnections(t *testing.T) {
	lab, oura := newVendor(t), newVendor(t)
	var through atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { through.Store(r.URL.String()) }))
	t.Cleanup(proxy.Close)
	c := &connection{Stack: newStack(t), t: t}
	load(t, c.Stack, shelfCaddyfile(c.Stack, "lab http://lab.example "+proxy.URL+"\n oura "+oura.URL, "allow GET /lab/** read\n allow GET /oura/** read"))
	alice := c.browser("alice")
	alice.connectsTo(t, "lab", "ada.read")
	alice.connectsTo(t, "oura", "ada.read,write")
	alice.do(http.MethodGet, "/data/oura/sleep", "")
	if got, proxied := oura.seen(), through.Load(); got != "GET /sleep Bearer token-of-ada-at-oura" || proxied != nil {
		t.Errorf("oura was asked %s, the proxy %v", got, proxied)
	}
	alice.do(http.MethodGet, "/data/lab/x", "")
	if got := through.Load(); got != "http://lab.example/x" {
		t.Errorf("the proxy was asked for %v", got)
	}
	if got := lab.seen() + oura.seen(); got != "" {
		t.Errorf("asked without the proxy: %s", got)
	}
}
