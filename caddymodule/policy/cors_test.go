// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// CORS headers for a wrong origin let it read answers; missing ones keep the
// app from reading refusals; a missing Vary lets a cache mix them up.
func TestCORSHeaders(t *testing.T) {
	for _, c := range []struct {
		trusted []string
		headers []string
		allow   string
		vary    string
	}{
		{[]string{trustedApp}, []string{"Origin: " + trustedApp}, trustedApp, "Accept, Origin"},
		{[]string{trustedApp}, []string{"Origin: https://evil.example"}, "", "Accept, Origin"},
		{[]string{trustedApp}, []string{"Origin: null"}, "", "Accept, Origin"},
		{[]string{trustedApp}, []string{"Origin: " + trustedApp, "Origin: https://evil.example"}, "", "Accept, Origin"},
		{[]string{trustedApp}, nil, "", "Accept, Origin"},
		{nil, []string{"Origin: " + trustedApp}, "", "Accept"},
	} {
		h := http.Header{"Vary": {"Accept"}}
		o := mustOrigins(t, c.trusted...)
		o.SetCORSHeaders(h, request("GET", c.headers...))
		o.SetCORSHeaders(h, request("GET", c.headers...)) // an error page sets them again
		if got := strings.Join(h["Access-Control-Allow-Origin"], " "); got != c.allow {
			t.Errorf("%v, %v: allowed origin is %q, want %q", c.trusted, c.headers, got, c.allow)
		}
		if got := strings.Join(h["Vary"], ", "); got != c.vary {
			t.Errorf("%v, %v: Vary is %q, want %q", c.trusted, c.headers, got, c.vary)
		}
		credentials, expose := h.Get("Access-Control-Allow-Credentials"), h.Get("Access-Control-Expose-Headers")
		if c.allow == "" && (credentials != "" || expose != "") || c.allow != "" && (credentials != "true" || !strings.Contains(expose, "Proxy-Status")) {
			t.Errorf("%v, %v: credentials %q, exposed %q", c.trusted, c.headers, credentials, expose)
		}
	}
}

// A preflight that is answered for an untrusted origin opens every unsafe
// method to it; one that is not answered for a trusted origin closes the app.
func TestT49_Preflight(t *testing.T) {
	o := mustOrigins(t, trustedApp)
	ask := []string{"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,content-type"}

	r := request("OPTIONS", append(ask, "Origin: "+trustedApp)...)
	w := httptest.NewRecorder()
	if !IsPreflight(r) || !o.AnswerPreflight(w, r) {
		t.Fatal("the preflight of a trusted origin is not answered")
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      trustedApp,
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, HEAD, POST, PUT, PATCH, DELETE",
		"Access-Control-Allow-Headers":     "authorization,content-type",
		"Access-Control-Max-Age":           "600",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(w.Header()["Vary"], ", "); got != "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" {
		t.Errorf("Vary is %q", got)
	}
	if w.Code != http.StatusNoContent || w.Body.Len() != 0 {
		t.Errorf("status %d, %d bytes", w.Code, w.Body.Len())
	}

	for _, origin := range [][]string{
		{"Origin: https://evil.example"},
		{"Origin: https://api.example.org"}, // browsers do not ask their own origin
		{"Origin: null"},
		{"Origin: " + trustedApp, "Origin: https://evil.example"},
	} {
		r := request("OPTIONS", append(ask, origin...)...)
		w := httptest.NewRecorder()
		if !IsPreflight(r) || o.AnswerPreflight(w, r) || len(w.Header()) != 0 {
			t.Errorf("%v: answered with %v", origin, w.Header())
		}
	}
	for _, r := range []*http.Request{
		request("OPTIONS", "Origin: "+trustedApp),
		request("OPTIONS", ask...),
		request("POST", append(ask, "Origin: "+trustedApp)...),
	} {
		if w := httptest.NewRecorder(); IsPreflight(r) || o.AnswerPreflight(w, r) {
			t.Errorf("%s %v passes for a preflight", r.Method, r.Header)
		}
	}
}
