// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBroken_HandleForHandlePath: `handle` leaves the prefix on, and no line of
// the policy covers a path with it. The other ways to miss by a prefix are told
// apart, and a path that no line covers either way is not explained by one.
func TestBroken_HandleForHandlePath(t *testing.T) {
	allow := "allow GET /api/v1/delegated/participant"
	for name, c := range map[string]struct {
		change     func(string) string
		path, want string
	}{
		"handle": {
			func(c string) string { return strings.Replace(c, "handle_path /mdh/*", "handle /mdh/*", 1) }, participantPath,
			"no line of the route policy covers the path; a line covers it without its first segment: write handle_path, which takes the prefix off, where handle stands",
		},
		"patterns with the prefix": {
			func(c string) string { return strings.Replace(c, "GET /api", "GET /mdh/api", 1) }, participantPath,
			"no line of the route policy covers the path; a line covers it with the prefix that handle_path has taken off: write the patterns of `allow` without",
		},
		"a page that has it twice": {
			func(c string) string { return c }, "/mdh" + participantPath,
			"no line of the route policy covers the path; a line covers it without its first segment, and a prefix is off already: the page's base URL may have it twice",
		},
		"no line at all": {func(c string) string { return c }, "/mdh/api/v1/delegated/planted", "no line of the route policy covers the path"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile, file := logged(t, c.change(proxied(allow, "")))
			s := start(t, caddyfile)
			got := signIn(t, s, "alice").get(c.path)
			got.want(t, http.StatusForbidden, "route_denied")
			lacks(t, got.body, "segment", "prefix")
			if out := checks(t, s, caddyfile, name != "handle"); name == "handle" {
				contains(t, out, "✗ policy             delegate mydatahelps: every path that comes to it begins with /mdh, and no line of its policy does: write handle_path, which takes the prefix off, where handle stands")
			}
			cause, _ := refusedCause(t, file)
			if cause != c.want {
				t.Errorf("%q, want %q", cause, c.want)
			}
			_, text := lines(t, file, "refused")
			lacks(t, text, "planted")
		})
	}
}

// TestBroken_MatcherOfAStrippedPath: within handle_path the authenticator's
// matcher names a path that none is any more, so that it never runs.
func TestBroken_MatcherOfAStrippedPath(t *testing.T) {
	for name, c := range map[string]struct{ old, changed string }{
		"a path as the matcher": {"forward_auth @private ", "forward_auth /mdh/* "},
		"one that is named":     {"@private not method OPTIONS", "@private {\n\t\t\tnot method OPTIONS\n\t\t\tpath /mdh /mdh/*\n\t\t}"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile, file := logged(t, strings.Replace(proxied("", ""), c.old, c.changed, 1))
			s := start(t, caddyfile)
			for range 20 {
				signIn(t, s, "alice").get(participantPath).want(t, http.StatusUnauthorized, "session_required")
			}
			contains(t, checks(t, s, caddyfile, false), "✗ subject            delegate mydatahelps: {rp.header.Remote-User} is never set: "+
				"the matcher of forward_auth names /mdh/*, which handle_path has taken off: leave /mdh out of the matcher")
			cause, _ := refusedCause(t, file)
			contains(t, cause, "{rp.header.Remote-User} is empty: no forward_auth was asked: its matcher names the prefix that handle_path has taken off, or it stands behind, or is missing")
			if warned, _ := lines(t, file, "everybody is refused with one code"); len(warned) != 1 || warned[0]["code"] != "session_required" {
				t.Errorf("%v", warned)
			}
		})
	}
	// What does match still counts, and is asked.
	for _, changed := range []string{"forward_auth /api/* ", "forward_auth * "} {
		caddyfile := strings.Replace(proxied("", ""), "forward_auth @private ", changed, 1)
		s := start(t, caddyfile)
		contains(t, checks(t, s, caddyfile, true), "✓ subject            delegate mydatahelps: {rp.header.Remote-User} forward_auth's server says 401")
	}
}

// TestBroken_HostChangedOnTheWay: a proxy in front asks by another Host. A browser
// that sends no Sec-Fetch-Site may read and not write: its Origin is the app's, and
// looks like another site's.
func TestBroken_HostChangedOnTheWay(t *testing.T) {
	caddyfile, file := logged(t, proxied("", ""))
	s := start(t, strings.Replace(caddyfile, "http://127.0.0.1:[[.Port]]", "http://:[[.Port]]", 1))
	u := signIn(t, s, "alice")
	send := func(origin, site string) answer {
		t.Helper()
		req := u.request(http.MethodPost, "/mdh/api/v1/delegated/customevents", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		req.Host = "internal:8400"
		req.Header.Set("Origin", origin)
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		return u.do(req)
	}
	if got := send("https://app.example.org", "same-origin"); got.StatusCode == http.StatusForbidden && strings.Contains(got.body, "cross_origin") {
		t.Errorf("a browser that says so itself: %s", got.body)
	}
	send("https://app.example.org", "").want(t, http.StatusForbidden, "cross_origin")
	cause, _ := refusedCause(t, file)
	if want := "sent from a page of another origin that is not among trusted_origins: Origin is https://app.example.org, and the request's Host is internal:8400; " +
		"if that page is of this site, the proxy in front has to pass Host on as it came"; cause != want {
		t.Errorf("%q, want %q", cause, want)
	}
}

// TestBroken_CallbackFrom: a load balancer stands in front, and callback_from is
// compared with its address. The platform is told 404, and the operator why.
func TestBroken_CallbackFrom(t *testing.T) {
	c := startMydex(t, "", "callback_from 192.0.2.0/24")
	caddyfile, file := logged(t, sound(c.caddyfile("", "callback_from 192.0.2.0/24")))
	load(t, c.Stack, caddyfile)
	contains(t, checks(t, c.Stack, caddyfile, true), "– callback           not looked at: mydex: "+c.URL()+"/connect/mydex/callback/… is for callback_from alone")
	post := func(segment string) {
		t.Helper()
		if got := c.browser("").do(http.MethodPost, "/connect/mydex/callback/"+segment, `{"uid":"planted"}`, "Content-Type", "application/json", "Authentication", "planted-hash"); got.StatusCode != http.StatusNotFound {
			t.Errorf("%d", got.StatusCode)
		}
	}
	post(mydexSegment)
	post("guessed-by-somebody-0")                               // nothing to log
	refused, text := lines(t, file, "a callback was not taken") // not check's
	if len(refused) != 1 || refused[0]["level"] != "warn" || !strings.Contains(fmt.Sprint(refused[0]["cause"]),
		"callback_from leaves out 127.0.0.1, from where it came: if that is a proxy in front, name it in trusted_proxies of Caddy's servers; if it is the platform, in callback_from") {
		t.Errorf("%v", refused)
	}
	lacks(t, text, mydexSegment, "planted", "guessed")
}
