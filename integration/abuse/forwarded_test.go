// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT13_ForwardedURIAndHost protects against CVE-2026-40575 and
// CVE-2026-76835: a proxy judged the path, method or host that a header named,
// and its list of trusted senders was everybody by default. Here what no line
// allows stays refused, and what is allowed is sent as it came.
func TestT13_ForwardedURIAndHost(t *testing.T) {
	const homemade = `
	route {
		@allowed header X-Forwarded-Uri /api/v1/delegated/*
		reverse_proxy @allowed [[.PlatformURL]]
		respond 403
	}`
	r := start(t, caddyfile("", site(""), homemade))
	alice := r.cookie("alice")
	open := []string{
		"X-Forwarded-Uri: " + apiParticipant, "X-Forwarded-Method: GET", "X-Forwarded-Path: " + apiParticipant, "X-Original-URL: " + apiParticipant,
		"X-Original-Uri: " + apiParticipant, "X-Rewrite-URL: " + apiParticipant, "X-Request-Uri: " + apiParticipant, "X-Envoy-Original-Path: " + apiParticipant,
		"X-Original-Method: GET", "Forwarded: for=127.0.0.1;host=localhost;proto=https",
	}
	const closed = "/api/v1/administration/projects/" + stack.Project + "/participants"
	for _, prefix := range []string{"/mdh", "/fa"} {
		r.refused(prefix, http.StatusForbidden, "route_denied", func() reply { return r.ask("GET", prefix+closed, append(open, alice)...) })
		r.refused(prefix+", a method", http.StatusMethodNotAllowed, "method_not_allowed", func() reply {
			return r.ask("DELETE", prefix+"/api/v1/delegated/devicedata/1", append(open, alice)...)
		})
	}
	r.crossed("X-Forwarded-Uri", func() reply { return r.askHome("GET", closed, open...) })

	wicked := []string{"X-Forwarded-Uri: " + closed, "X-Forwarded-Method: DELETE", "X-Original-URL: " + closed, "X-Rewrite-URL: " + closed, "X-Forwarded-Host: evil.example", "X-Original-Host: evil.example", "X-Host: evil.example"}
	for _, prefix := range []string{"/mdh", "/fa"} {
		record := r.served(prefix, stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho, append(wicked, alice)...) })
		if record.URI != apiEcho || record.Method != http.MethodGet || "http://"+record.Host != r.PlatformURL {
			t.Errorf("%s: %s %s at %s", prefix, record.Method, record.URI, record.Host)
		}
		for name := range record.Header {
			if strings.HasPrefix(name, "X-") || name == "Forwarded" {
				t.Errorf("%s: %s crossed", prefix, name)
			}
		}
	}
	// Nor do they say which site a page is of.
	for _, line := range []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https", "Forwarded: host=evil.example;proto=https", "X-Original-Host: evil.example"} {
		r.refused(line, http.StatusForbidden, "cross_origin", func() reply {
			return r.ask("GET", "/mdh"+apiEcho, alice, "Origin: https://evil.example", line)
		})
	}
}

// TestT14_ForwardedPrefixAndProto protects against CVE-2026-35051
// (X-Forwarded-Prefix) and CVE-2024-21499 (X-Forwarded-Proto, one of T50's
// list): the address that a proxy gave back was made of what a client sent.
func TestT14_ForwardedPrefixAndProto(t *testing.T) {
	const homemade = "redir {header.X-Forwarded-Proto}://{header.X-Forwarded-Host}{header.X-Forwarded-Prefix}/login"
	handOut := strings.Replace(site(""), "delegate_token mydatahelps\n", "delegate_token mydatahelps {\n\t\t\tproxy /mdh/\n\t\t}\n", 1)
	r := start(t, caddyfile("", handOut, homemade))
	alice := r.cookie("alice")
	lines := []string{
		"X-Forwarded-Prefix: //evil.example", "X-Forwarded-Proto: javascript", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1",
		"X-Forwarded-Path: /evil", "X-Script-Name: /evil", "X-Forwarded-Scheme: gopher", "X-Url-Scheme: gopher", "Front-End-Https: on", alice,
	}
	// The participant is looked up once, and known from then on.
	if got := r.ask("POST", "/mdh-token", alice, "Content-Length: 0"); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.untouched("a base URL", func() {
		got := r.ask("POST", "/mdh-token", append(lines, "Content-Length: 0")...)
		var answer struct {
			Base string `json:"base_url"`
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || answer.Base != r.URL()+"/mdh/" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	got := r.ask("GET", "/mdh/api/v1/delegated/custom/Simulator.Redirect?to=/api/v1/delegated/participant", lines...)
	if location := got.header.Get("Location"); got.status != http.StatusFound || location != "/mdh/api/v1/delegated/participant" {
		t.Errorf("redirect: %d %q", got.status, location)
	}
	if control := r.askHome("GET", "/", lines...).header.Get("Location"); control != "javascript://evil.example//evil.example/login" {
		t.Errorf("control: %q", control)
	}
}

// TestT15_HealthChecks protects against CVE-2026-34457: who called themselves
// a health check, by User-Agent or path, was let in without a session.
func TestT15_HealthChecks(t *testing.T) {
	const homemade = `
	route {
		@health header User-Agent *HealthChecker*
		reverse_proxy @health [[.PlatformURL]]
		respond 401
	}`
	r := start(t, caddyfile("", site(""), homemade))
	agents := []string{"ELB-HealthChecker/2.0", "GoogleHC/1.0", "kube-probe/1.30", "Caddy/2", "Go-http-client/1.1", "Prometheus/2.50", "curl/8", ""}
	for _, agent := range agents {
		for _, path := range []string{apiEcho, "/ping", "/healthz", "/ready", "/metrics", "/robots.txt"} {
			line := "User-Agent: " + agent
			r.refused(agent+" "+path, http.StatusUnauthorized, "session_required", func() reply { return r.ask("GET", "/mdh"+path, line) })
		}
		r.refused(agent+", a token", http.StatusUnauthorized, "session_required", func() reply {
			return r.ask("POST", "/mdh-token", "User-Agent: "+agent, "Content-Length: 0")
		})
	}
	alice := r.cookie("alice")
	r.refused("with a session", http.StatusForbidden, "route_denied", func() reply { return r.ask("GET", "/mdh/ping", "User-Agent: "+agents[0], alice) })
	r.served("with a session", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, "User-Agent: "+agents[0], alice) })
	r.crossed(agents[0], func() reply { return r.askHome("GET", apiEcho, "User-Agent: "+agents[0]) })
}

// TestT16_InternalMarkers protects against CVE-2025-29927: a header by which a
// server marked its own requests, sent from outside, switched its checks off.
func TestT16_InternalMarkers(t *testing.T) {
	const homemade = `
	route {
		@internal header X-Middleware-Subrequest *
		reverse_proxy @internal [[.PlatformURL]]
		respond 401
	}`
	r := start(t, caddyfile("", site("forward_headers X-Request-Id"), homemade))
	lines := []string{
		"X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware", "X-Middleware-Next: 1", "X-Middleware-Rewrite: /admin",
		"X-Internal: 1", "X-Internal-Request: true", "X-Delegate: 1", "X-Delegated: true", "X-Delegate-Provider: mydatahelps", "X-Delegate-Participant: " + stack.Bob.ID,
		"X-Caddy-Delegate: 1", "Caddy-Delegate: 1", "Proxy-Status: caddy-delegate", "X-Skip-Auth: 1", "X-Public: 1", "X-Real-Ip: 127.0.0.1", "X-Forwarded-For: 127.0.0.1",
		"X-Accel-Internal: 1", "X-Sendfile: /etc/passwd", "CDN-Loop: caddy", "Cf-Connecting-Ip: 127.0.0.1", "X-Original-Auth: none",
	}
	r.refused("all of them", http.StatusUnauthorized, "session_required", func() reply { return r.ask("GET", "/mdh"+apiEcho, lines...) })
	r.refused("all of them, for a token", http.StatusUnauthorized, "session_required", func() reply { return r.ask("POST", "/mdh-token", append(lines, "Content-Length: 0")...) })
	record := r.served("signed in", stack.Alice, func() reply {
		return r.ask("GET", "/mdh"+apiEcho, append(lines, "X-Request-Id: 7", r.cookie("alice"))...)
	})
	for name := range record.Header {
		if !slices.Contains([]string{"Authorization", "Accept-Encoding", "X-Request-Id"}, name) {
			t.Errorf("%s crossed", name)
		}
	}
	r.crossed("X-Middleware-Subrequest", func() reply { return r.askHome("GET", apiEcho, lines...) })
}
