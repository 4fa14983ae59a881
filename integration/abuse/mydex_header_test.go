// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"
)

// copyingToken is a stock forward_auth whose header is what the member is
// known by.
const copyingToken = `
	forward_auth [[.AppAddr]] {
		uri /auth
		copy_headers Remote-User>Connection-Token
	}
	reverse_proxy [[.MydexURL]]`

// TestT12_MydexConnectionNamesTheCredential protects against CVE-2024-45410 and
// CVE-2022-31813 at Mydex, where two headers open a member's data: bearer and
// member key arrive, once each, whatever Connection names. The homemade site
// loses its header that way.
func TestT12_MydexConnectionNamesTheCredential(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", copyingToken))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	for name, lines := range map[string][]string{
		"one line":       {"Connection: close, Authorization, Connection-Token, Content-Type, Host"},
		"several lines":  {"Connection: close", "Connection: authorization", "CONNECTION: connection-token", "connection: x"},
		"odd case":       {"cOnNeCtIoN: aUtHoRiZaTiOn,cOnNeCtIoN-tOkEn"},
		"empty elements": {"Connection: ,, , Authorization,,Connection-Token,"},
		"an upgrade":     {"Connection: Upgrade, Authorization, Connection-Token", "Upgrade: h2c"},
		"and one sent":   {"Connection: Connection-Token", "Connection-Token: forged", "connection_token: forged"},
	} {
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				what := prefix + path + ", " + name
				r := m.served(what, robin, func() reply { return m.do("GET", prefix+path, "", append(lines, alice)...) })
				if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
					t.Errorf("%s: Mydex received %v", what, r.Header)
				}
			}
		}
		r := m.reached(name, func() reply { return m.askHome("GET", eventsPath, append(lines, alice)...) })
		if got := r.Header["Connection-Token"]; len(got) > 0 {
			t.Errorf("control, %s: %q still arrives", name, got)
		}
		// The question for a link has the bearer as well.
		j := m.startConnect(connects[0], name) // each name may begin a few
		before := m.last()
		got := m.do("POST", connects[0]+"/start", "", append(lines, j.session)...)
		asked := m.since(before, "setup")
		if got.status != http.StatusOK || len(asked) != 1 || len(asked[0].Header["Authorization"]) != 1 || asked[0].Header.Get("Connection") != "" {
			t.Errorf("start, %s: %d %s, %v", name, got.status, got.body, asked)
		}
		// Without the cookie nobody is signed in; nobody becomes somebody else.
		m.untouched("the cookie, "+name, func() {
			got := m.do("GET", connects[0]+"/status", "", append(lines, "Connection: Cookie", "Remote-User: alice", alice)...)
			if got.code() != "session_required" {
				t.Errorf("the cookie, %s: %d %s", name, got.status, got.body)
			}
		})
	}
	if r := m.reached("no attack", func() reply { return m.askHome("GET", eventsPath, alice) }); r.Header.Get("Connection-Token") != "alice" {
		t.Errorf("control: %v", r.Header)
	}
}

// TestT12_MydexConnectionOnTheCallback protects the header by which Mydex shows
// that it is itself: naming it in Connection does not make it count for less,
// nor for anything where it is missing or wrong.
func TestT12_MydexConnectionOnTheCallback(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", copyingToken))
	robin := m.member(0)
	for name, lines := range map[string][]string{
		"one line":      {"Connection: Authentication, Content-Type, Content-Length"},
		"several lines": {"Connection: close", "Connection: authentication", "CONNECTION: Authentication"},
		"odd case":      {"cOnNeCtIoN: aUtHeNtIcAtIoN"},
		"an upgrade":    {"Connection: Upgrade, Authentication", "Upgrade: h2c"},
	} {
		j := m.startConnect(connects[0], name)
		for _, forged := range [][]string{nil, {"Authentication: "}, {authentic() + "0"}, {strings.Replace(authentic(), "Authentication", "Authorization", 1)}} {
			j.wantNoEffect(name, func() {
				got := m.do("POST", callback, j.callbackForm(robin), append(append(forged, formType), lines...)...)
				if got.status != http.StatusForbidden {
					t.Errorf("%s, %q: %d", name, forged, got.status)
				}
			})
		}
		if got := m.do("POST", callback, j.callbackForm(robin), append(lines, authentic(), formType)...); got.status != http.StatusNoContent {
			t.Errorf("%s: the word of Mydex: %d", name, got.status)
		}
		if name == "one line" {
			j.wantConnected(name, robin) // once more: the others are of the same member
		}
	}
}

// TestT12_MydexConnectionOverHTTP2 protects against the same over HTTP/2, where
// no such header may be (RFC 9113 section 8.2.2).
func TestT12_MydexConnectionOverHTTP2(t *testing.T) {
	m := startMydex(t, encryptedMydex(mydexCaddyfile("", copyingToken)))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	j := m.startConnect(connects[0], "bob")
	for _, name := range []string{"connection", "Connection", "proxy-connection", "keep-alive", "upgrade"} {
		attack := func(method, path, body string, lines ...string) reply {
			var fields []field
			for _, line := range lines {
				key, value, _ := strings.Cut(line, ": ")
				fields = append(fields, field{strings.ToLower(key), value})
			}
			return m.send2(m.http2Request(method, path, append(fields, field{name, "authorization, connection-token, authentication"})...), body)
		}
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				m.malformed(name+", "+prefix+path, func() reply { return attack("GET", prefix+path, "", alice) })
			}
		}
		for _, at := range connects {
			m.malformed(name+", "+at, func() reply { return attack("POST", at+"/start", "", alice) })
		}
		j.wantNoEffect(name+", the callback", func() {
			m.malformed(name, func() reply { return attack("POST", callback, j.callbackForm(m.member(1)), authentic(), formType) })
		})
	}
	for _, prefix := range proxies {
		for _, path := range []string{datasetPath, eventsPath} {
			m.served(prefix+path, robin, func() reply { return m.do("GET", prefix+path, "", alice) })
		}
	}
	j.wantConnected("bob", m.member(1))
}
