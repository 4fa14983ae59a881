// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"
)

// homemadeReturn takes whoever comes back with a state for whoever set out.
const homemadeReturn = `
	@back query state=*
	header @back X-Connected {query.state}
	respond @back 204
	respond 403`

// TestT56_MydexConsentLinkOfAnother protects a member who is sent the link of
// mallory's consent flow, and consents: their store does not become mallory's, who
// does not know the address to come back to, nor does the member's browser,
// which has not set out. The homemade end takes anybody who has the address.
func TestT56_MydexConsentLinkOfAnother(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", homemadeReturn))
	robin := m.member(0)
	for _, at := range connects {
		mallory := m.startConnect(at, "mallory "+at)
		own := m.startConnect(at, "victim "+at) // the victim has set out as well, elsewhere
		if got := m.postCallback(mallory.callbackForm(robin)); got.status != http.StatusNoContent {
			t.Fatalf("the victim consents: %d", got.status)
		}
		state := strings.TrimPrefix(mallory.back, at+"/return?state=")
		_, browser, _ := strings.Cut(mallory.cookie, "=")
		m.untouched("the victim is back", func() {
			back := func(what string, lines ...string) {
				t.Helper()
				mallory.wantReturnWith(what, "consent_required", lines...)
			}
			back("the victim's browser", own.session)
			back("with a consent flow of their own", own.cookies())
			back("mallory's cookie, the victim's session", own.session+"; "+mallory.cookie)
			back("mallory's session, no cookie", mallory.session)
			back("mallory's session, the victim's consent flow", mallory.session+"; "+own.cookie)
			for _, cookie := range []string{
				"delegate_mydex=", "delegate_mydex", "delegate_mydex=" + browser[1:], "delegate_mydex=" + browser + "x", "delegate_mydex=" + strings.ToLower(browser), "delegate_mydex=." + browser, "delegate_mydex=" + state, "delegate_mydex=" + state + "." + browser,
				"delegate_mydex= " + browser + " x", "delegate_mydex=%" + hexOf(browser[0]) + browser[1:], "Delegate_Mydex=" + browser, "DELEGATE_MYDEX=" + browser, "delegate.mydex=" + browser, "delegate_mydex[]=" + browser,
				"__Host-delegate_mydex=" + browser, "__Secure-delegate_mydex=" + browser, "__host-delegate_mydex=" + browser, "x=delegate_mydex=" + browser, "delegate_mydex =" + browser + "=",
				mallory.cookie + "; " + mallory.cookie, mallory.cookie + "; " + own.cookie, own.cookie + "; " + mallory.cookie, mallory.cookie + "; delegate_mydex=", mallory.cookie + ";\tdelegate_mydex=x",
			} {
				back(cookie, mallory.session+"; "+cookie)
			}
			back("two lines", mallory.cookies(), "Cookie: "+own.cookie)
			back("two lines, the same", mallory.cookies(), "Cookie: "+mallory.cookie)
			back("in another header", mallory.session, "X-Cookie: "+mallory.cookie, "Cookie2: "+mallory.cookie, "Authorization: "+browser)
		})
		// Mallory knows the link and their own cookie, and not the address.
		m.untouched("mallory tries", func() {
			for _, path := range []string{
				"/return", "/return?state=", "/return?state=" + mallory.link, "/return?state=" + browser, "/return?state=" + browser + "." + mallory.link, "/return?state=" + strings.ToLower(state), "/return?state=" + state[1:], "/return?state=" + state + "%00",
				"/return?state=" + state + "%20", "/return?state=%2520" + state, "/return?state[]=" + state, "/return?State=" + state, "/return?linking_token=" + mallory.link, "/return#state=" + state, "/return;state=" + state,
			} {
				got := m.ask("GET", at+path, mallory.cookies())
				if to := got.header.Get("Location"); to != "/profile?connect=consent_required" && got.code() != "route_denied" {
					t.Errorf("%s: %d to %q %s", path, got.status, to, got.body)
				}
			}
			for what, ask := range map[string]func() reply{
				"state in a body": func() reply { return m.do("POST", at+"/return", "state="+state, mallory.cookies(), formType) },
				"state in JSON": func() reply {
					return m.do("PUT", at+"/return", `{"state":"`+state+`"}`, mallory.cookies(), "Content-Type: application/json")
				},
				"a body of GET": func() reply { return m.do("GET", at+"/return", "state="+state, mallory.cookies(), formType) },
				"state in a header": func() reply {
					return m.do("GET", at+"/return", "", mallory.cookies(), "State: "+state, "X-State: "+state)
				},
				"state in a cookie":     func() reply { return m.do("GET", at+"/return", "", mallory.cookies()+"; state="+state) },
				"another method":        func() reply { return m.do("POST", mallory.back, "", mallory.cookies()) },
				"HEAD":                  func() reply { return m.do("HEAD", mallory.back, "", mallory.cookies()) },
				"status with the state": func() reply { return m.do("GET", at+"/status?state="+state, "", mallory.cookies()) },
				"status with the link":  func() reply { return m.do("GET", at+"/status", "", mallory.cookies()+"."+mallory.link) },
				"status by the victim":  func() reply { return m.do("GET", at+"/status", "", own.session+"; "+mallory.cookie+"."+state) },
			} {
				if got := ask(); strings.HasSuffix(got.header.Get("Location"), "=connected") || strings.Contains(got.body, `"connected"`) {
					t.Errorf("%s: %d to %q %s", what, got.status, got.header.Get("Location"), got.body)
				}
			}
			for _, j := range []*connectFlow{mallory, own} {
				if got := m.do("GET", "/pdx"+datasetPath, "", j.session); got.code() != "consent_required" {
					t.Errorf("%s: %d %s", j.session, got.status, got.body)
				}
			}
		})
		if got := m.askHome("GET", mallory.back, own.session); got.header.Get("X-Connected") != state {
			t.Errorf("control: %d %v", got.status, got.header)
		}
		// The victim's own way is as it was.
		own.wantConnected("the victim", m.member(0))
		m.do("DELETE", at+"/", "", own.session)
	}
}

// TestT56_MydexReplayedReturn protects from an address that is opened again,
// from a history or a log: it connects once, and nobody whose key was forgotten
// since.
func TestT56_MydexReplayedReturn(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", homemadeReturn))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	j.wantConnected("alice", robin)
	word := j.callbackForm(robin)
	m.untouched("again", func() {
		for range 3 {
			j.wantReturn("again", "connected") // it is so; nothing is asked
		}
		if got := m.postCallback(word); got.status != http.StatusNoContent {
			t.Errorf("the same word again: %d", got.status)
		}
		j.wantReturnWith("by another user", "consent_required", m.rig.cookie("mallory")+"; "+j.cookie)
		j.wantReturnWith("in another browser", "consent_required", j.session)
	})
	if got := m.do("DELETE", connects[0]+"/", "", j.cookies()); got.status != http.StatusNoContent {
		t.Fatalf("%d %s", got.status, got.body)
	}
	m.untouched("after leaving", func() {
		m.postCallback(word)
		j.wantReturn("after leaving", "consent_required")
		m.status("after leaving", j.cookies(), "none")
		if got := m.do("GET", "/pdx"+datasetPath, "", j.session); got.code() != "consent_required" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	j = m.startConnect(connects[0], "alice")
	j.wantConnected("alice once more", robin)
}

// TestT56_MydexCookieOfASubdomain protects from a page of a subdomain that
// gives the user's browser the cookie of its own consent flow: over https the
// cookie's name is one that no subdomain can set.
func TestT56_MydexCookieOfASubdomain(t *testing.T) {
	m := startMydex(t, encryptedMydex(mydexCaddyfile("", homemadeReturn)))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	name, browser, _ := strings.Cut(j.cookie, "=")
	if name != "__Host-delegate_mydex" {
		t.Fatalf("the cookie is %q", name)
	}
	if got := m.postCallback(j.callbackForm(robin)); got.status != http.StatusNoContent {
		t.Fatalf("%d", got.status)
	}
	m.untouched("forged cookies", func() {
		for _, other := range []string{"delegate_mydex", "__Secure-delegate_mydex", "__host-delegate_mydex", "__HOST-delegate_mydex", "__Host_delegate_mydex", "__Host-delegate_mydex[]", "\u00a0__Host-delegate_mydex", "__Host-delegate_mydex\u00a0", "Host-delegate_mydex", "$__Host-delegate_mydex"} {
			j.wantReturnWith(other, "consent_required", j.session+"; "+other+"="+browser)
		}
		j.wantReturnWith("beside the own, in crumbs", "consent_required", j.session, "Cookie: "+j.cookie, "Cookie: "+name+"=x")
		j.wantReturnWith("the same in crumbs", "consent_required", j.session, "Cookie: "+j.cookie, "Cookie: "+j.cookie)
	})
	// One of another name beside it does not matter.
	j.wantReturnWith("its own", "connected", j.cookies()+"; delegate_mydex=x")
	m.served("alice", robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", j.session) })
}
