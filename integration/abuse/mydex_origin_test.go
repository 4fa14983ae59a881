// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestT49_MydexOtherSitesPages protects members from pages of other sites that
// use their cookie: to begin a consent flow in their name, to have their key
// forgotten, to learn whether they are connected, or to read their data.
func TestT49_MydexOtherSitesPages(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	for _, lines := range crossSiteHeaders(m.rig) {
		what := strings.Join(lines, ", ")
		stranger := append(slices.Clone(lines), alice)
		for _, at := range connects {
			for _, c := range []struct{ method, path, body, kind string }{
				{"POST", "/start", "", "text/plain"},
				{"POST", "/start", "a=b", "application/x-www-form-urlencoded"},
				{"POST", "/start", "{}", "text/plain"},
				{"POST", "/update", "", "multipart/form-data; boundary=x"},
				{"POST", "/update?_method=DELETE", "_method=DELETE", "application/x-www-form-urlencoded"},
				{"DELETE", "/", "", "text/plain"},
				{"POST", "/?_method=DELETE", "_method=DELETE", "application/x-www-form-urlencoded"},
				{"GET", "/status", "", "text/plain"},
				{"GET", "/status?wait=20", "", "text/plain"},
				{"GET", "/start", "", "text/plain"},
				{"HEAD", "/status", "", "text/plain"},
			} {
				name := c.method + " " + at + c.path + ", " + what
				m.untouched(name, func() {
					got := m.do(c.method, at+c.path, c.body, append(stranger, "Content-Type: "+c.kind, "X-HTTP-Method-Override: DELETE")...)
					if got.status != http.StatusForbidden || c.method != "HEAD" && got.code() != "cross_origin" {
						t.Errorf("%s: %d %s", name, got.status, got.body)
					}
					if len(got.header["Set-Cookie"]) > 0 || got.header.Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s: the page may read the answer, or has begun something: %v", name, got.header)
					}
				})
			}
		}
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				m.refused("GET "+prefix+path+", "+what, http.StatusForbidden, "cross_origin", func() reply { return m.do("GET", prefix+path, "", stranger...) })
			}
			m.refused("POST "+prefix+", "+what, http.StatusForbidden, "cross_origin", func() reply {
				return m.do("POST", prefix+"/calendar/add-event", "{}", append(stranger, "Content-Type: text/plain")...)
			})
		}
		m.reached(what, func() reply { return m.askHome("GET", eventsPath, stranger...) })
	}
	for _, target := range []string{"/connect/mydex/start", "/connect/mydex/update", "/connect/mydex/status", "/connect/mydex/", "/connect/mydex/return", "/as-connect/start", "/as-connect/", "/pdx" + eventsPath, "/as" + eventsPath} {
		for _, method := range []string{"POST", "DELETE", "GET"} {
			m.untouched(target, func() {
				got := m.ask("OPTIONS", target, "Origin: https://evil.example", "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: content-type", alice)
				if got.code() != "cross_origin" || got.header.Get("Access-Control-Allow-Origin") != "" || len(got.header["Set-Cookie"]) > 0 {
					t.Errorf("a preflight for %s %s: %d %s %v", method, target, got.status, got.body, got.header)
				}
			})
		}
	}
	// The one address that other sites send a browser to ends nothing that it
	// has not begun, and is for no image.
	m.untouched("return", func() {
		for _, at := range connects {
			got := m.do("GET", at+"/return?state=x", "", alice, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Origin: null")
			if got.header.Get("Location") != "/profile?connect=consent_required" || len(got.header["Set-Cookie"]) > 0 {
				t.Errorf("%s/return: %d %v", at, got.status, got.header)
			}
			for _, dest := range []string{"image", "iframe", "empty", "Document", "document, image", "document\r\nSec-Fetch-Dest: image", ""} {
				got := m.do("GET", at+"/return?state=x", "", alice, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: "+dest)
				if got.code() != "cross_origin" || len(got.header["Set-Cookie"]) > 0 {
					t.Errorf("%s/return as %q: %d %v", at, dest, got.status, got.header)
				}
			}
		}
	})
	m.status("nothing was changed", alice, "connected")
	for _, line := range []string{"Sec-Fetch-Site: same-origin", "Origin: " + m.URL()} {
		m.served(line, robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", line, alice) })
		for _, at := range connects {
			if got := m.do("POST", at+"/start", "", line, alice); got.status != http.StatusOK {
				t.Errorf("our own page: %d %s", got.status, got.body)
			}
		}
	}
}

// TestT49_MydexSameHostAnotherScheme protects against a page that a network
// attacker made of the same host over plain http, in browsers that send no
// Sec-Fetch-Site.
func TestT49_MydexSameHostAnotherScheme(t *testing.T) {
	m := startMydex(t, encryptedMydex(mydexCaddyfile("", passingToMydex)))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	host := strings.TrimPrefix(m.site(), "https://")
	for _, origin := range []string{"http://" + host, "ftp://" + host, "https://user@" + host, "https://" + host + "/x", "https://localhost", "https://x.localhost:" + host[len("localhost:"):]} {
		for _, at := range connects {
			for method, path := range map[string]string{"POST": "/start", "DELETE": "/", "GET": "/status"} {
				m.refused(method+" "+at+path+", "+origin, http.StatusForbidden, "cross_origin", func() reply { return m.do(method, at+path, "", alice, "Origin: "+origin) })
			}
		}
		m.refused(origin, http.StatusForbidden, "cross_origin", func() reply { return m.do("GET", "/pdx"+datasetPath, "", alice, "Origin: "+origin) })
	}
	m.served("our own page", robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", alice, "Origin: https://"+host) })
	m.status("alice", alice, "connected")
}
