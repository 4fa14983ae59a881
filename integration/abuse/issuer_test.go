// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// elsewhere is another server, which notes what it is sent.
func elsewhere(t *testing.T) (server *httptest.Server, calls *atomic.Int64, secrets *atomic.Int64) {
	t.Helper()
	calls, secrets = new(atomic.Int64), new(atomic.Int64)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "assertion") || strings.Contains(string(body), "participant_id") || r.Header.Get("Authorization") != "" {
			secrets.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"evil","token_type":"Bearer","expires_in":3600}`)
	}))
	t.Cleanup(server.Close)
	return server, calls, secrets
}

// TestT26_TokenEndpointRedirects protects against ruby-oauth's CVE-2026-54605
// and undici's GHSA-3787-6prv-h9w3: 307 and 308 have a client send the same
// body again, assertion and all, to wherever the answer says. The control is
// Go's own client, which does.
func TestT26_TokenEndpointRedirects(t *testing.T) {
	evil, calls, secrets := elsewhere(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, area := range []string{"/connect/token", "/participants/"} {
			r := start(t, caddyfile("", site(""), passing))
			r.Intercept(func(w http.ResponseWriter, req *http.Request, platform http.Handler) {
				if strings.Contains(req.URL.Path, area) {
					http.Redirect(w, req, evil.URL+req.URL.Path, status)
					return
				}
				platform.ServeHTTP(w, req)
			})
			alice := r.cookie("alice")
			for _, got := range []reply{r.ask("GET", "/mdh"+apiEcho, alice), r.ask("POST", "/fa-token", alice, "Content-Length: 0")} {
				if got.status != http.StatusServiceUnavailable || got.code() != "issuer_unavailable" || strings.Contains(got.body, evil.URL) {
					t.Errorf("%d at %s: %d %s", status, area, got.status, got.body)
				}
			}
			if r.Platform.Counts().Delegated > 0 || calls.Load() > 0 {
				t.Errorf("%d at %s: %d calls of the API, %d elsewhere", status, area, r.Platform.Counts().Delegated, calls.Load())
			}
			if status == http.StatusTemporaryRedirect && area == "/connect/token" {
				res, err := http.PostForm(r.PlatformURL+"/identityserver/connect/token", url.Values{"client_assertion": {"assertion"}})
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if secrets.Load() != 1 {
					t.Error("control: Go's client does not follow")
				}
				calls.Store(0)
			}
		}
	}
	r := start(t, caddyfile("", site(""), passing))
	r.served("no redirect", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, r.cookie("alice")) })
}

// TestT27_AddressOfTheIssuer protects against utcp-http's CVE-2026-101059: the
// token endpoint's address came from outside, so that whoever chose it was
// sent the secret, or reached private addresses. Here it is the operator's
// setting alone: https, or http on loopback by its number or its own name, so
// that no name server has a say (DNS rebinding).
func TestT27_AddressOfTheIssuer(t *testing.T) {
	r := newRig(t)
	for _, address := range []string{
		"http://mydatahelps.example", "http://169.254.169.254", "http://[fd00:ec2::254]", "http://10.0.0.1", "http://192.168.1.1", "http://0.0.0.0", "http://[::]", "http://2130706433",
		"http://127.1", "http://0x7f.0.0.1", "http://017700000001", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1.nip.io", "http://evil.example#127.0.0.1",
		"http://127.0.0.1@evil.example", "https://mydatahelps.org@evil.example", "https://evil.example\\@mydatahelps.org", "https://mydatahelps.org/..//evil.example", "file:///etc/passwd", "gopher://127.0.0.1", "//evil.example", "{http.request.host}", "https://{http.request.host}",
	} {
		if err := r.Load(strings.Replace(caddyfile("", site(""), passing), "[[.PlatformURL]]", `"`+address+`"`, 1)); err == nil || !strings.Contains(err.Error(), "base_url") {
			t.Errorf("%s: %v; want it refused for its base_url", address, err)
		}
	}
	if records := r.Platform.Records(); len(records) > 0 {
		t.Errorf("loading asked the platform: %+v", records)
	}

	r.load(caddyfile("", bare(""), passing))
	alice := r.cookie("alice")
	evil, calls, _ := elsewhere(t)
	host := strings.TrimPrefix(evil.URL, "http://")
	for what, ask := range map[string]func() reply{
		"headers": func() reply {
			return r.ask("GET", apiEcho, alice, "X-Forwarded-Host: "+host, "Forwarded: host="+host, "X-Issuer: "+evil.URL, "X-Token-Url: "+evil.URL)
		},
		"query": func() reply {
			return r.ask("GET", apiEcho+"?issuer="+evil.URL+"&token_url="+evil.URL+"&iss="+evil.URL, alice)
		},
		"absolute": func() reply { return r.send(http1("GET", r.URL()+apiEcho, host, alice)) },
	} {
		record := r.served(what, stack.Alice, ask)
		if "http://"+record.Host != r.PlatformURL {
			t.Errorf("%s: sent to %s", what, record.Host)
		}
	}
	if calls.Load() > 0 || r.Platform.Counts().TokenRequests != 2 {
		t.Errorf("%d calls elsewhere, %+v", calls.Load(), r.Platform.Counts())
	}
}

// brokers is a homemade proxy that fails open: its token broker's failure is
// not looked at, and the request goes on without a token.
const brokers = `route {
		forward_auth [[.AppAddr]] {
			uri /no-such-broker
			@any status 4xx 5xx
			handle_response @any {
			}
		}
		reverse_proxy [[.PlatformURL]]
	}`

// TestT42_FailsClosed protects against proxies that go on when they get no
// token (Duende's, octelium's, Tyk's): whatever is wrong with the issuer or
// the lookup, the API is not called, the answer is a refusal. Bad token answers
// are TestT28_HostileTokenAnswers'.
func TestT42_FailsClosed(t *testing.T) {
	ill := func(area string, o simulator.Outage) func(*simulator.Settings) {
		return func(s *simulator.Settings) { s.Outages = map[string]simulator.Outage{area: o} }
	}
	errs := func(code string, status int) func(*simulator.Settings) {
		return func(s *simulator.Settings) { s.TokenError, s.TokenErrorStatus = code, status }
	}
	for what, set := range map[string]func(*simulator.Settings){
		"issuer: 500": ill("token", simulator.Outage{Status: 500}), "issuer: 204": ill("token", simulator.Outage{Status: 204}), "issuer: 429": ill("token", simulator.Outage{Status: 429}),
		"issuer: 200 and nothing": ill("token", simulator.Outage{Status: 200, Body: "{}"}), "issuer: 200 null": ill("token", simulator.Outage{Status: 200, Body: "null"}),
		"issuer: empty token": ill("token", simulator.Outage{Status: 200, Body: `{"access_token":"","token_type":"Bearer","expires_in":60}`}),
		"issuer: hangs up":    ill("token", simulator.Outage{Reset: true}), "lookup: 500": ill("admin", simulator.Outage{Status: 500}), "lookup: hangs up": ill("admin", simulator.Outage{Reset: true}),
		"lookup: 401": ill("admin", simulator.Outage{Status: 401}), "lookup: nonsense": ill("admin", simulator.Outage{Status: 200, Body: "[]"}), "lookup: empty": ill("admin", simulator.Outage{Status: 200, Body: "{}"}),
		"invalid_client": errs("invalid_client", 401), "invalid_grant": errs("invalid_grant", 400), "invalid_scope": errs("invalid_scope", 400), "unknown": errs("x", 400), "error with 200": errs("invalid_client", 200),
	} {
		r := start(t, caddyfile("", site(""), brokers))
		r.Platform.Set(set)
		alice := r.cookie("alice")
		for range 2 { // the second is answered from memory, or asked anew
			for what, got := range map[string]reply{
				what: r.ask("GET", "/mdh"+apiEcho, alice), what + ", forward_auth": r.ask("POST", "/fa"+apiEcho, alice, "Content-Length: 0"), what + ", a token": r.ask("POST", "/mdh-token", alice, "Content-Length: 0"),
			} {
				if got.code() == "" || got.status != http.StatusBadGateway && got.status != http.StatusServiceUnavailable && got.status != http.StatusForbidden {
					t.Errorf("%s: %d %s", what, got.status, got.body)
				}
				if strings.Contains(got.body, "access_token") {
					t.Errorf("%s: a token was handed out", what)
				}
			}
		}
		if n := r.Platform.Counts().Delegated; n != 0 {
			t.Errorf("%s: the API was called %d times", what, n)
		}
		if record := r.crossed(what, func() reply { return r.askHome("GET", apiEcho, alice) }); record.TokenKind != "none" {
			t.Errorf("control: %+v", record)
		}
	}
	r := start(t, caddyfile("", site(""), brokers))
	r.served("all is well", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, r.cookie("alice")) })
}
