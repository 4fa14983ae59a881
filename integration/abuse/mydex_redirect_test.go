// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"
)

// wandering is a homemade end of a consent flow, which sends browsers wherever the
// request says.
const wandering = `
	@then query then=*
	redir @then {query.then} 303
	redir https://{header.X-Forwarded-Host}/profile?state={query.state} 303`

// anyHost has our site answer to every name, as behind a load balancer.
func anyHost(text string) string {
	return strings.Replace(text, "http://127.0.0.1:[[.Port]] {", "http://:[[.Port]] {", 1)
}

// hosts are ways to say another name for our site.
func (r *rig) hosts() map[string]func(method, path string, lines ...string) reply {
	send := func(host string, more ...string) func(string, string, ...string) reply {
		return func(method, path string, lines ...string) reply {
			return r.send(http1(method, path, host, append(append(more, "Content-Length: 0"), lines...)...))
		}
	}
	return map[string]func(method, path string, lines ...string) reply{
		"Host":                send("evil.example"),
		"Host with a port":    send("evil.example:443"),
		"X-Forwarded-Host":    send(r.authority(false), "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Forwarded-Prefix: //evil.example"),
		"Forwarded":           send(r.authority(false), "Forwarded: host=evil.example;proto=https", "X-Host: evil.example", "X-Original-Host: evil.example", "X-Original-URL: //evil.example/"),
		"Referer and Origin":  send("evil.example", "Referer: http://evil.example/", "Origin: http://evil.example"),
		"several of a header": send(r.authority(false), "X-Forwarded-Host: evil.example", "X-Forwarded-Host: evil.example:1"),
		"absolute form": func(method, path string, lines ...string) reply {
			return r.send(http1(method, "http://evil.example"+path, r.authority(false), append(lines, "Content-Length: 0")...))
		},
		"absolute form, both": func(method, path string, lines ...string) reply {
			return r.send(http1(method, "https://evil.example"+path, "evil.example", append(lines, "Content-Length: 0")...))
		},
	}
}

// says looks for a word in all of an answer.
func says(got reply, word string) bool {
	for name, values := range got.header {
		if strings.Contains(strings.ToLower(name)+": "+strings.Join(values, " "), word) {
			return true
		}
	}
	return strings.Contains(got.body, word)
}

// TestT47_MydexRedirects protects against open redirects at the one place that
// sends a browser on (CVE-2022-23527, GO-2022-0783, /\host): where it ends is
// the configured path, whatever the request says; what it says is in no header.
func TestT47_MydexRedirects(t *testing.T) {
	m := startMydex(t, anyHost(mydexCaddyfile("", wandering)))
	for n, at := range connects {
		user := "user of " + at
		j := m.startConnect(at, user)
		j.wantConnected(at, m.member(n))
		// It is over: the same address ends it again, with nothing to ask for.
		ends := func(what, outcome string, ask func() reply) {
			t.Helper()
			m.untouched(what, func() {
				got := ask()
				if to := got.header["Location"]; got.status != http.StatusSeeOther || len(to) != 1 || to[0] != "/profile?connect="+outcome || says(got, "evil") {
					t.Errorf("%s, %s: %d to %q %s; want %s", at, what, got.status, to, got.body, outcome)
				}
			})
		}
		for _, more := range []string{
			"&then=https://evil.example", "&then=//evil.example", "&next=/%5cevil.example", "&return_to=https://evil.example", "&rd=https://evil.example&redirect_uri=https://evil.example&url=//evil.example",
			"&connect=//evil.example", "&connect=evil%0d%0aLocation:%20//evil.example", "&#//evil.example",
		} {
			ends(more, "connected", func() reply { return m.ask("GET", j.back+more, j.cookies()) })
		}
		for name, send := range m.hosts() {
			ends(name, "connected", func() reply { return send("GET", j.back, j.cookies()) })
			if at == connects[0] { // app_session refuses by itself
				ends(name+", nobody", "session_required", func() reply { return send("GET", j.back) })
			}
			ends(name+", who has not set out", "consent_required", func() reply { return send("GET", j.back, j.session) })
		}
		for _, query := range []string{
			"", "?", "?state=", "?state=evil", "?state=//evil.example", "?state=https://evil.example", "?state=%0d%0aLocation:%20https://evil.example", "?state=%0aSet-Cookie:%20delegate_mydex=evil", "?state=%00evil", "?state=%ff%feevil", "?state=%zzevil",
			"?state[]=evil", "?state=" + strings.Repeat("evil", 5000), "?state=javascript:evil", "?STATE=evil", "?state=evil;state=evil", "?state=evil&state=" + strings.TrimPrefix(j.back, at+"/return?state="), strings.TrimPrefix(j.back, at+"/return") + "&state=evil",
		} {
			ends(query, "consent_required", func() reply { return m.ask("GET", at+"/return"+query, j.cookies()) })
		}
		for _, target := range []string{
			"//evil.example", "//evil.example" + j.back, at, at + "//evil.example", at + "/\\evil.example", at + "/%5cevil.example", at + "/return//evil.example", at + "/return/\\evil.example", at + "/return/%2f/evil.example", at + "/return/..//evil.example", at + "/return%2f?x=//evil.example", at + "/return/?next=//evil.example",
			at + "/?then=//evil.example", at + "/callback//evil.example", at + "/status?then=//evil.example&wait=-1",
		} {
			m.untouched(target, func() {
				if got := m.ask("GET", target, j.cookies()); got.status/100 == 3 || got.header.Get("Location") != "" || says(got, "evil") {
					t.Errorf("%s: %d to %q %s", target, got.status, got.header.Get("Location"), got.body)
				}
			})
		}
		m.untouched("CR LF in the target", func() {
			if got := m.ask("GET", j.back+"\r\nX-Evil: 1", j.cookies()); says(got, "evil") {
				t.Errorf("%d %v", got.status, got.header)
			}
		})
	}
	for what, got := range map[string]reply{
		"then": m.askHome("GET", "/connect/mydex/return?then=https://evil.example"),
		"host": m.askHome("GET", "/connect/mydex/return?state=x", "X-Forwarded-Host: evil.example"),
	} {
		if to := got.header.Get("Location"); !strings.HasPrefix(to, "https://evil.example") {
			t.Errorf("control, %s: %d to %q", what, got.status, to)
		}
	}
}

// TestT47_MydexAddressOfTheFlow protects members from being sent back from
// Mydex to another site: the address that Mydex is given is the configured one,
// whatever the request calls us.
func TestT47_MydexAddressOfTheFlow(t *testing.T) {
	m := startMydex(t, anyHost(mydexCaddyfile("", "reverse_proxy [[.MydexURL]] {\n\t\theader_up X-Return-To https://{header.X-Forwarded-Host}/return\n\t}")))
	for name, send := range m.hosts() {
		for _, at := range connects {
			before := m.last()
			got := send("POST", at+"/start?return_to=https://evil.example&url=//evil.example", m.rig.cookie(name+at))
			asked := m.since(before, "setup")
			if got.status != http.StatusOK || len(asked) != 1 || says(got, "evil.example") { // the image is letters of all kinds
				t.Errorf("%s, %s: %d %s, %d requests", name, at, got.status, got.body, len(asked))
				continue
			}
			if body := asked[0].Body; !strings.Contains(body, `"return_to":"`+m.URL()+at+`/return?state=`) || strings.Contains(body, "evil") || says(reply{header: asked[0].Header}, "evil") {
				t.Errorf("%s, %s: Mydex was told %s %v", name, at, body, asked[0].Header)
			}
			// Nor is the cookie another site's.
			if set := got.header.Get("Set-Cookie"); strings.Contains(strings.ToLower(set), "domain") {
				t.Errorf("%s: %q", name, set)
			}
		}
	}
	r := m.reached("the host", func() reply {
		return m.askHome("POST", "/ftc/setup", "X-Forwarded-Host: evil.example", "Content-Length: 0")
	})
	if r.Header.Get("X-Return-To") != "https://evil.example/return" {
		t.Errorf("control: %v", r.Header)
	}
}

// TestT47_MydexRedirectsOfThePlatform protects browsers from redirects of
// Mydex's API, to another site or within its own: the address that it repeats
// has the member key. None is passed on, nor is its address.
func TestT47_MydexRedirectsOfThePlatform(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	alice := m.connect("alice", m.member(0))
	location := ""
	m.intercept(func(w http.ResponseWriter, r *http.Request, mydex http.Handler) {
		if r.URL.Path == "/oauth2/token" {
			mydex.ServeHTTP(w, r)
			return
		}
		for _, name := range []string{"Location", "Content-Location", "Link"} {
			w.Header()[name] = []string{location + "?" + r.URL.RawQuery}
		}
		w.WriteHeader(http.StatusFound)
	})
	for _, location = range []string{"//evil.example", "/\\evil.example", "https://evil.example", "/api/pds/pds/4020.json", "", "javascript:evil", m.MydexURL + "/api/pds/pds/4020.json", "/pdx/x", "/\t/evil.example"} {
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				got := m.ask("GET", prefix+path, alice)
				if got.code() != "upstream_redirected" || got.header.Get("Location")+got.header.Get("Content-Location")+got.header.Get("Link") != "" || says(got, "evil") || says(got, "con_id") {
					t.Errorf("%q: %d %v", location, got.status, got.header)
				}
			}
		}
		if got := m.askHome("GET", eventsPath+"?con_id=1"); !strings.Contains(got.header.Get("Location"), "con_id=1") {
			t.Errorf("control: %q: %d to %q", location, got.status, got.header.Get("Location"))
		}
	}
}
