// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// passing is the homemade proxy that hands on whatever the client sent.
const passing = "reverse_proxy [[.PlatformURL]]"

// identities are headers by which proxies tell the server behind them who the
// user is, or what they may do.
var identities = []string{
	"Authorization", "Remote-User", "X-Participant-Id", "X-Participant-Identifier", "X-User", "X-User-Id",
	"X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Request-User", "X-Auth-User", "X-Webauth-User", "X-Token-Subject",
	"X-Study", "X-Project-Id", "X-Delegate-Subject", "Proxy-Authorization",
}

// TestT09_ClientSendsOurHeaders protects against CVE-2026-30851: Caddy's
// forward_auth left a client's own identity headers in place. Here the client
// sends each of them, twice, and the platform sees ours alone, once.
func TestT09_ClientSendsOurHeaders(t *testing.T) {
	r := start(t, caddyfile("", site("header_up X-Study 42"), passing))
	var lines []string
	for _, name := range identities {
		lines = append(lines, name+": "+stack.Bob.ID, strings.ToLower(name)+": bob")
	}
	for _, prefix := range []string{"/mdh", "/fa"} {
		ask := func(cookie ...string) reply { return r.ask("GET", prefix+apiEcho, slices.Concat(lines, cookie)...) }
		r.untouched(prefix+", nobody is signed in", func() {
			if got := ask(); got.status != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", prefix, got.status, got.body)
			}
		})
		record := r.served(prefix, stack.Alice, func() reply { return ask(r.cookie("alice")) })
		for _, name := range identities {
			switch values := record.Header[name]; name {
			case "Authorization": // looked at by served
			case "X-Study":
				if !slices.Equal(values, []string{"42"}) {
					t.Errorf("%s: %s: %q, want the operator's alone", prefix, name, values)
				}
			default:
				if len(values) > 0 {
					t.Errorf("%s: %s: %q crossed", prefix, name, values)
				}
			}
		}
	}
	record := r.crossed("passing", func() reply { return r.askHome("GET", apiEcho, lines...) })
	if got := record.Header["X-Participant-Id"]; len(got) != 2 {
		t.Errorf("control: X-Participant-Id %q", got)
	}
}

// TestT10_T11_AliasesOfOurHeaders protects against CVE-2025-64484,
// CVE-2026-54763 and GHSA-f59h-q822-g45g (underscores), CVE-2026-88011 and
// GHSA-49wc-4hcv-v58q (dots): a checked header was sent under a name that the
// server behind folds into it. Caddy drops such names by default; here an
// operator has it expect them, and they still do not cross.
func TestT10_T11_AliasesOfOurHeaders(t *testing.T) {
	aliases := []string{"X_Participant_Id", "X.Participant.Id", "x_PARTICIPANT_id", "X_Participant-Id", "Remote_User", "remote.user", "Authorization_", "Authorization.", "X_Http_Method_Override", "X.Forwarded.User"}
	const expect = `
	servers {
		expected_underscore_headers X_Participant_Id X_Participant-Id Remote_User Authorization_ X_Http_Method_Override
		expected_dot_headers X.Participant.Id Remote.user Authorization. X.Forwarded.User
	}`
	for name, global := range map[string]string{"default": "", "expected": expect} {
		r := start(t, caddyfile(global, site(""), passing))
		for _, alias := range aliases {
			line := alias + ": " + stack.Bob.ID
			for _, prefix := range []string{"/mdh", "/fa"} {
				what := name + " " + prefix + " " + alias
				r.untouched(what, func() {
					if got := r.ask("GET", prefix+apiEcho, line); got.status != http.StatusUnauthorized {
						t.Errorf("%s: %d %s", what, got.status, got.body)
					}
				})
				record := r.served(what, stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho, r.cookie("alice"), line) })
				for key := range record.Header {
					if strings.ContainsAny(key, "_.") {
						t.Errorf("%s: %s crossed", what, key)
					}
				}
			}
			record := r.crossed(alias, func() reply { return r.askHome("GET", apiEcho, line) })
			if got := record.Header[http.CanonicalHeaderKey(alias)]; (len(got) > 0) != (global != "") {
				t.Errorf("control, %s, %s: %q", name, alias, got)
			}
		}
	}
}

// TestT10_BlanksAroundNames protects against the same with a blank before the
// colon or the name: one server reads Authorization there, the other does not.
func TestT10_BlanksAroundNames(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	for _, line := range []string{
		"Authorization : Bearer forged", "Authorization\t: Bearer forged", "Authorization\v: Bearer forged", "Autho rization: Bearer forged",
		"X-Participant-Id : " + stack.Bob.ID, "\xa0X-Participant-Id: " + stack.Bob.ID, "X-Participant-Id\x00: bob", ": bob", "bob",
	} {
		r.malformed(line, func() reply { return r.ask("GET", "/mdh"+apiEcho, alice, line) })
		r.malformed(line, func() reply { return r.ask("GET", "/mdh"+apiEcho, line, alice) })
	}
	r.served("without", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, alice) })
}

// TestT12_ConnectionNamesTheCredential protects against CVE-2024-45410 and
// CVE-2022-31813: a client names in Connection the headers that a proxy sets,
// and the next one strips them as hop by hop. A stock forward_auth with
// copy_headers loses its header that way.
func TestT12_ConnectionNamesTheCredential(t *testing.T) {
	const copying = `
	forward_auth [[.AppAddr]] {
		uri /auth
		copy_headers Remote-User>X-Participant-Id
	}
	reverse_proxy [[.PlatformURL]]`
	r := start(t, caddyfile("", site("header_up X-Study 42"), copying))
	alice := r.cookie("alice")
	for name, lines := range map[string][]string{
		"one line":        {"Connection: close, Authorization, X-Study, X-Participant-Id, Host"},
		"several lines":   {"Connection: close", "Connection: authorization", "CONNECTION: x-study", "connection: x-participant-id"},
		"odd case":        {"cOnNeCtIoN: aUtHoRiZaTiOn,x-StUdY,X-pArTiCiPaNt-Id"},
		"empty elements":  {"Connection: ,, , Authorization,,X-Study,X-Participant-Id,"},
		"an upgrade":      {"Connection: Upgrade, Authorization, X-Study, X-Participant-Id", "Upgrade: h2c"},
		"cookie and host": {"Connection: Authorization, Host, X-Study, X-Participant-Id, Content-Length"},
	} {
		for _, prefix := range []string{"/mdh", "/fa"} {
			record := r.served(name, stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho, append(lines, alice)...) })
			if record.Header.Get("X-Study") != "42" || record.Header.Get("Upgrade") != "" || record.Header.Get("Connection") != "" {
				t.Errorf("%s: the platform received %v", name, record.Header)
			}
		}
		record := r.crossed(name, func() reply { return r.askHome("GET", apiEcho, append(lines, alice)...) })
		if got := record.Header["X-Participant-Id"]; len(got) > 0 {
			t.Errorf("control, %s: %q still arrives", name, got)
		}
	}
	record := r.crossed("no attack", func() reply { return r.askHome("GET", apiEcho, alice) })
	if record.Header.Get("X-Participant-Id") != "alice" {
		t.Errorf("control: %v", record.Header)
	}
}

// TestT12_ConnectionOverHTTP2 protects against the same over HTTP/2, where no
// such header may be (RFC 9113 section 8.2.2).
func TestT12_ConnectionOverHTTP2(t *testing.T) {
	r := start(t, encrypted(caddyfile("", site("header_up X-Study 42"), passing)))
	cookie := field{"cookie", strings.TrimPrefix(r.cookie("alice"), "Cookie: ")}
	for _, name := range []string{"connection", "Connection", "proxy-connection", "keep-alive"} {
		r.malformed(name, func() reply {
			return r.send2(r.http2Request("GET", "/mdh"+apiEcho, cookie, field{name, "authorization, x-study"}), "")
		})
	}
	r.served("without", stack.Alice, func() reply { return r.send2(r.http2Request("GET", "/mdh"+apiEcho, cookie), "") })
}
