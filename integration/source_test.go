// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestUpstreamMount protects each source's credential from the other's host: a
// path below /<source> goes to that source, without that segment, and the
// addresses in its responses are below it again.
func TestUpstreamMount(t *testing.T) {
	withings, oura := newVendor(t), newVendor(t)
	s := newStack(t)
	load(t, s, vendorsCaddyfile(withings, oura, ""))
	u := signIn(t, s, "alice")

	u.get("/sources/withings/measure?a=b").want(t, http.StatusOK, "")
	if got := withings.seen(); got != "GET /R4/measure?a=b Bearer token-of-alice" {
		t.Errorf("withings was asked %s", got)
	}
	u.get("/sources/oura//v2/%7Eme/").want(t, http.StatusOK, "")
	if got := oura.seen(); got != "GET /v2/~me/ Bearer token-of-alice" {
		t.Errorf("oura was asked %s", got)
	}
	if got := withings.seen(); got != "" {
		t.Errorf("withings was asked %s", got)
	}

	for location, want := range map[string]string{
		"/R4/next?page=2":                "/sources/withings/next?page=2",
		withings.URL + "/R4/withings/x":  "/sources/withings/withings/x",
		"8":                              "8",
		"/oura/x":                        "",
		"/withings/x":                    "",
		"../oura/x":                      "",
		oura.URL + "/x":                  "",
		withings.URL + "/R4/../../oura/": "",
	} {
		got := u.get("/sources/withings/measure?" + url.Values{"Location": {location}, "Link": {"<" + location + ">; rel=next"}}.Encode())
		if want == "" {
			got.want(t, http.StatusBadGateway, "upstream_redirected")
		} else if got.StatusCode != http.StatusFound || got.Header.Get("Location") != want || got.Header.Get("Link") != "<"+want+">; rel=next" {
			t.Errorf("%s: %d, %v", location, got.StatusCode, got.Header)
		}
	}
	withings.seen()
	oura.seen()

	for _, path := range []string{"/sources/withings", "/sources/withingsx/measure", "/sources/x/withings/measure", "/sources/"} {
		if got := u.get(path); path == "/sources/" {
			if got.StatusCode < 400 { // no line covers it
				t.Errorf("%s: %d", path, got.StatusCode)
			}
		} else {
			got.want(t, http.StatusInternalServerError, "not_delegated")
		}
	}

	// What was authorised is compared with the mount on it.
	load(t, s, vendorsCaddyfile(withings, oura, "uri replace /withings/ /oura/"))
	u.get("/sources/withings/measure").want(t, http.StatusInternalServerError, "not_delegated")
	u.get("/sources/oura/measure").want(t, http.StatusOK, "")
	if got := withings.seen() + oura.seen(); got != "GET /measure Bearer token-of-alice" {
		t.Errorf("sent: %s", got)
	}
}

// TestVendorsAreApart protects people from a vendor that is down: it closes its
// own source, and its refused token is replaced by its own issuer.
func TestVendorsAreApart(t *testing.T) {
	withings, oura := newVendor(t), newVendor(t)
	s := newStack(t)
	load(t, s, administered(vendorsCaddyfile(withings, oura, "")))
	u := signIn(t, s, "alice")
	u.get("/sources/withings/measure").want(t, http.StatusOK, "")
	withings.seen()

	withings.set(true, "")
	for n := range 30 { // people, so that no one of them is to blame
		signIn(t, s, fmt.Sprint("user-", n)).get("/sources/withings/measure").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	}
	withings.set(true, "")
	for n := range 3 {
		signIn(t, s, fmt.Sprint("late-", n)).get("/sources/withings/measure").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	}
	if mints := withings.set(false, ""); len(mints) == 3 { // one may try whether it is back
		t.Errorf("a vendor that is down is asked for everybody: %q", mints)
	}
	signIn(t, s, "late-1").get("/sources/oura/v2/sleep").want(t, http.StatusOK, "")
	u.get("/sources/withings/measure").want(t, http.StatusOK, "") // with the token in memory
	if got := withings.seen(); got != "GET /R4/measure Bearer token-of-alice" {
		t.Errorf("withings was asked %s", got)
	}
	status := newAdmin(t, s).send(http.MethodGet, "/delegate/status", "").body
	if !strings.Contains(status, `"oura":{"ready":true`) || !strings.Contains(status, `"withings":{"ready":false,"reason":"issuer_unavailable"`) {
		t.Errorf("status %s", status)
	}

	oura.set(false, "token-of-late-1")
	oura.seen()
	signIn(t, s, "late-1").get("/sources/oura/v2/sleep").want(t, http.StatusOK, "")
	if got, mints := oura.seen(), oura.set(false, ""); got != "GET /v2/sleep Bearer token-of-late-1, GET /v2/sleep Bearer token-of-late-1-again" || len(mints) != 1 || mints[0] != "late-1 token-of-late-1" {
		t.Errorf("oura was asked %s; mints %q", got, mints)
	}
}
