// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const trustedApp = "https://app.example.org"

func mustOrigins(t testing.TB, trusted ...string) *Origins {
	t.Helper()
	o, err := NewOrigins(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// request is one to api.example.org over TLS. headers are "Name: value".
func request(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example.org/mdh/x", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// A page of another site can make the browser send the session cookie: such a
// request must mint no token, whatever its method, since reading is what an
// attacker wants here (T49).
func TestT49_CrossSite(t *testing.T) {
	o := mustOrigins(t, trustedApp)
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} {
		for headers, allowed := range map[string]bool{
			"":                            true, // no browser
			"Sec-Fetch-Site: same-origin": true,
			"Sec-Fetch-Site: none":        true,
			"Sec-Fetch-Site: same-origin|Origin: https://api.example.org": true,
			"Origin: https://api.example.org":                             true, // old browser
			"Sec-Fetch-Site: same-site|Origin: " + trustedApp:             true,
			"Sec-Fetch-Site: cross-site|Origin: " + trustedApp:            true,
			"Origin: " + trustedApp:                                       true,

			"Sec-Fetch-Site: cross-site":                                                                  false,
			"Sec-Fetch-Site: same-site":                                                                   false, // attacker on a sub-domain
			"Sec-Fetch-Site: unheard-of":                                                                  false,
			"Sec-Fetch-Site: cross-site|Origin: https://evil.example":                                     false,
			"Sec-Fetch-Site: same-site|Origin: https://evil.example.org":                                  false,
			"Origin: https://evil.example":                                                                false,
			"Origin: null":                                                                                false,
			"Sec-Fetch-Site: same-origin|Origin: null":                                                    false,
			"Sec-Fetch-Site: cross-site|Origin: null":                                                     false,
			"Origin: " + trustedApp + "|Origin: https://evil.example":                                     false,
			"Origin: https://evil.example|Origin: " + trustedApp:                                          false,
			"Sec-Fetch-Site: same-origin|Sec-Fetch-Site: cross-site":                                      false,
			"Sec-Fetch-Site: cross-site|Origin: " + trustedApp + ".evil.example":                          false,
			"Sec-Fetch-Site: cross-site|Origin: http://app.example.org":                                   false,
			"Sec-Fetch-Site: cross-site|Origin: https://app.example.org:8443":                             false,
			"Sec-Fetch-Site: cross-site|Origin: https://APP.example.org":                                  false,
			"Sec-Fetch-Site: cross-site|Origin: " + trustedApp + "/":                                      false,
			"Sec-Fetch-Site: cross-site|Origin: " + trustedApp + " https://evil.example":                  false,
			"Sec-Fetch-Site: cross-site|Referer: " + trustedApp + "|X-Forwarded-Host: " + "app.example":   false,
			"Sec-Fetch-Site: cross-site|Authorization: Bearer x|X-Http-Method-Override: GET|Origin: null": false,
		} {
			var list []string
			if headers != "" {
				list = strings.Split(headers, "|")
			}
			refusal := o.Check(request(method, list...), false)
			if allowed && refusal != nil {
				t.Errorf("%s with %q is refused: %v", method, headers, refusal.Unwrap())
			}
			if !allowed && (refusal == nil || refusal.Code != delegation.CrossOrigin) {
				t.Errorf("%s with %q is not refused", method, headers)
			}
		}
	}
}

// The same-origin policy does not hold for WebSockets: any page may open one
// and read it, with the user's cookie.
func TestT49_UpgradeNeedsOrigin(t *testing.T) {
	o := mustOrigins(t, trustedApp)
	for headers, allowed := range map[string]bool{
		"Origin: https://api.example.org":                             true,
		"Origin: https://api.example.org|Sec-Fetch-Site: same-origin": true,
		"Origin: " + trustedApp:                                       true,
		"Origin: " + trustedApp + "|Sec-Fetch-Site: same-site":        true,
		"":                             false,
		"Sec-Fetch-Site: same-origin":  false,
		"Origin: ":                     false,
		"Origin: null":                 false,
		"Origin: https://evil.example": false,
		"Origin: https://evil.example|Sec-Fetch-Site: same-origin":              false,
		"Origin: http://api.example.org":                                        false, // we are on TLS
		"Origin: ftp://api.example.org":                                         false,
		"Origin: https://api.example.org/x":                                     false,
		"Origin: https://user@api.example.org":                                  false,
		"Origin: https://api.example.org|Sec-Fetch-Site: cross-site":            false,
		"Origin: https://api.example.org|Origin: https://api.example.org":       false,
		"Origin: https://api.example.org.evil.example":                          false,
		"Origin: https://api.example.org:8443":                                  false,
		"Origin: //api.example.org":                                             false,
		"Origin: https://evil.example|Referer: https://api.example.org/mdh/app": false,
	} {
		var list []string
		if headers != "" {
			list = strings.Split(headers, "|")
		}
		refusal := o.Check(request("GET", list...), true)
		if allowed && refusal != nil {
			t.Errorf("%q is refused: %v", headers, refusal.Unwrap())
		}
		if !allowed && (refusal == nil || refusal.Code != delegation.CrossOrigin) {
			t.Errorf("%q is not refused", headers)
		}
	}
}

// Behind something that ends TLS, the page's scheme is https and ours is not:
// its own upgrades must go on working.
func TestUpgradeBehindTLSTermination(t *testing.T) {
	o := mustOrigins(t)
	for _, scheme := range []string{"http", "https"} {
		r := request("GET", "Origin: "+scheme+"://api.example.org")
		r.TLS = nil
		if refusal := o.Check(r, true); refusal != nil {
			t.Errorf("%s: %v", scheme, refusal.Unwrap())
		}
		r.TLS = new(tls.ConnectionState)
		if refusal := o.Check(r, true); (refusal == nil) != (scheme == "https") {
			t.Errorf("%s on TLS: %v", scheme, refusal)
		}
	}
}

// An origin that is trusted by mistake reads every user's data; one that is
// written otherwise than browsers send it never matches, and nobody sees why.
func TestNewOriginsErrors(t *testing.T) {
	for origin, want := range map[string]string{
		"":                              "empty",
		"null":                          "sandboxed",
		"*":                             "wildcard",
		"https://*.example.org":         "wildcard",
		"app.example.org":               "scheme://host",
		"//app.example.org":             "must be https",
		"https://":                      "scheme://host",
		"https:app.example.org":         "scheme://host",
		"https://{env.APP}":             "scheme://host",
		"https://bücher.example":        "ASCII",
		"https://a%41.example":          "scheme://host",
		"https://a b.example":           "scheme://host",
		"ftp://app.example.org":         "must be https",
		"http://app.example.org":        "loopback",
		"http://127.0.0.1.example.org":  "loopback",
		"http://localhost.example.org":  "loopback",
		"https://App.example.org":       "write https://app.example.org",
		"HTTPS://app.example.org":       "write https://app.example.org",
		"https://app.example.org/":      "write https://app.example.org",
		"https://app.example.org/x":     "write https://app.example.org",
		"https://app.example.org?x":     "write https://app.example.org",
		"https://app.example.org#x":     "write https://app.example.org",
		"https://app.example.org:443":   "write https://app.example.org",
		"https://app.example.org:":      "write https://app.example.org",
		"http://localhost:80":           "write http://localhost",
		"https://u:secret@example.org":  "neither user nor password",
		"https://app.example.org https": "scheme://host",
		"capacitor://*":                 "wildcard",
		"capacitor://":                  "scheme://host",
		"capacitor:localhost":           "scheme://host",
		"capacitor://localhost/":        "write capacitor://localhost",
		"capacitor://localhost#/home":   "write capacitor://localhost",
		"Capacitor://localhost":         "write capacitor://localhost",
		"ionic://LocalHost":             "write ionic://localhost",
		"tauri://localhost:80":          "no port",
		"tauri://u:secret@localhost":    "neither user nor password",
		"http://tauri.example":          "loopback",
		"file:///index.html":            "scheme://host",
		"file://localhost":              "must be https",
		"javascript://localhost":        "must be https",
		"data://localhost":              "must be https",
		"blob://localhost":              "must be https",
		"ws://localhost":                "must be https",
		"wss://app.example.org":         "must be https",
	} {
		_, err := NewOrigins([]string{origin})
		if err == nil {
			t.Errorf("%q is accepted", origin)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %q does not say %q, or says too much", origin, err, want)
		}
	}
	if _, err := NewOrigins([]string{trustedApp, trustedApp}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a repeated origin: %v", err)
	}
	for _, origin := range []string{
		trustedApp, "https://app.example.org:8443", "https://xn--bcher-kva.example", "http://localhost", "http://app.localhost:3000",
		"http://127.0.0.1:3000", "http://[::1]:3000", "https://10.0.0.1",
		"capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://tauri.localhost", "https://tauri.localhost", "app://bundle", "org.example.app://localhost",
	} {
		o, err := NewOrigins([]string{origin})
		if err != nil {
			t.Errorf("%s: %v", origin, err)
		} else if !o.Trusted(request("GET", "Origin: "+origin)) {
			t.Errorf("%s is accepted, but does not match", origin)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	o := mustOrigins(b, trustedApp)
	r := request("GET", "Sec-Fetch-Site: same-origin")
	b.ReportAllocs()
	for b.Loop() {
		if refusal := o.Check(r, false); refusal != nil {
			b.Fatal(refusal)
		}
	}
}
