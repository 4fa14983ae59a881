// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var testScopes = []string{"B", "A", "C"}

// parseRoutes makes routes of `allow` lines; an "!" in front makes one public.
func parseRoutes(t testing.TB, lines ...string) []delegation.Route {
	t.Helper()
	var routes []delegation.Route
	for _, line := range lines {
		words, public := strings.CutPrefix(line, "!")
		r, err := ParseRoute(strings.Fields(words))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r.Public = public
		routes = append(routes, r)
	}
	return routes
}

func mustNew(t testing.TB, lines ...string) *Table {
	t.Helper()
	table, err := New(parseRoutes(t, lines...), testScopes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A prefix without segment boundary opens what lies beside it (T23), and a
// pattern that matches more than it says opens it to everybody.
func TestT23_PatternsEndAtSegments(t *testing.T) {
	for _, c := range []struct{ pattern, matches, not string }{
		{"/", "/", "/a"},
		{"/a", "/a", "/a/ /a/b /A /ab / /b/a"},
		{"/a/", "/a/", "/a /a/b"},
		{"/*", "/a /b", "/ /a/ /a/b"},
		{"/a/*", "/a/x", "/a /a/ /a/x/ /a/x/y /ab/x"},
		{"/a/*/c", "/a/b/c /a/*/c", "/a/c /a//c /a/b/b/c /a/b/c/"},
		{"/a/*/", "/a/b/", "/a/b /a//"},
		{"/**", "/a /a/b /a/", "/"},
		{"/a/**", "/a/x /a/x/y /a/x/ /a/x/y/", "/a /a/ /ab /ab/x /a-backup/x"},
		{"/a/*/**", "/a/b/c /a/b/c/d", "/a/b /a/b/ /a"},
		{"/a%20b", "/a%20b", "/a"},
		{"/(x)", "/(x)", "/x"},
	} {
		table := mustNew(t, "GET "+c.pattern)
		for path := range strings.SplitSeq(c.matches, " ") {
			if _, err := table.Match("GET", path, false); err != nil {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for path := range strings.SplitSeq(c.not, " ") {
			if _, err := table.Match("GET", path, false); err == nil {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
	}
}

// Two lines may cover a request: the one that stands first must decide, or a
// token with the wrong scopes is minted.
func TestFirstMatchWins(t *testing.T) {
	table := mustNew(t,
		"GET /a/special A",
		"POST /a/* B",
		"GET /a/* C",
		"/a/** A B",
		"GET /b/*/x A",
		"GET /b/y/* B",
		"GET /c/** A",
		"GET /c/x B",
		"!GET /d",
		"GET /e",
	)
	for request, want := range map[string]Match{
		"GET /a/special":    {Scopes: []string{"A"}},
		"HEAD /a/special":   {Scopes: []string{"A"}},
		"POST /a/special":   {Scopes: []string{"B"}},
		"DELETE /a/special": {Scopes: []string{"A", "B"}},
		"GET /a/other":      {Scopes: []string{"C"}},
		"GET /a/x/y":        {Scopes: []string{"A", "B"}},
		"GET /b/y/x":        {Scopes: []string{"A"}},
		"GET /b/y/z":        {Scopes: []string{"B"}},
		"GET /c/x":          {Scopes: []string{"A"}},
		"GET /d":            {Public: true},
		"GET /e":            {Scopes: []string{"A", "B", "C"}},
	} {
		method, path, _ := strings.Cut(request, " ")
		got, err := table.Match(method, path, false)
		if err != nil {
			t.Errorf("%s: %v", request, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", request, got, want)
		}
	}
}

// No method that a line does not name may reach a token mint (T24).
func TestT24_Methods(t *testing.T) {
	table := mustNew(t, "GET /get", "HEAD /head", "POST,OPTIONS /post", "/any", "DELETE /get", "PUT /get/*")
	for request, allow := range map[string]string{
		"GET /get":         "",
		"HEAD /get":        "",
		"DELETE /get":      "",
		"POST /get":        "DELETE, GET, HEAD",
		"PUT /get":         "DELETE, GET, HEAD",
		"OPTIONS /get":     "DELETE, GET, HEAD",
		"TRACE /get":       "DELETE, GET, HEAD",
		"CONNECT /get":     "DELETE, GET, HEAD",
		"get /get":         "DELETE, GET, HEAD",
		"WEBSOCKET /get":   "DELETE, GET, HEAD",
		"HEAD /head":       "",
		"GET /head":        "HEAD",
		"OPTIONS /post":    "",
		"GET /post":        "OPTIONS, POST",
		"GET /any":         "",
		"PATCH /any":       "",
		"OPTIONS /any":     "DELETE, GET, HEAD, PATCH, POST, PUT",
		"PROPFIND /any":    "DELETE, GET, HEAD, PATCH, POST, PUT",
		"TRACE /any":       "DELETE, GET, HEAD, PATCH, POST, PUT",
		" /any":            "DELETE, GET, HEAD, PATCH, POST, PUT",
		"GET,POST /any":    "DELETE, GET, HEAD, PATCH, POST, PUT",
		"WEBSOCKET /get/x": "PUT",
	} {
		method, path, _ := strings.Cut(request, " ")
		_, err := table.Match(method, path, false)
		if allow == "" {
			if err != nil {
				t.Errorf("%s: %v", request, err)
			}
			continue
		}
		r := wantRefusal(t, err, delegation.MethodNotAllowed, nil)
		if got := strings.Join(r.Allow, ", "); got != allow {
			t.Errorf("%s: Allow is %q, want %q", request, got, allow)
		}
	}
	_, err := table.Match("GET", "/nowhere", false)
	wantRefusal(t, err, delegation.RouteDenied, errNoLine)
	_, err = table.Match("GET", "", false)
	wantRefusal(t, err, delegation.RouteDenied, errNoLine)
}

// An upgrade leaves HTTP and its policy: no line that does not name it may
// let it pass, and its word must not stand for a method (T24).
func TestT24_Upgrade(t *testing.T) {
	table := mustNew(t, "GET /plain", "/any", "WEBSOCKET /ws A", "GET,WEBSOCKET /both B", "GET /order C", "WEBSOCKET /order A")

	for path, scopes := range map[string][]string{"/ws": {"A"}, "/both": {"B"}, "/order": {"A"}} {
		v, err := table.Match("GET", path, true)
		if err != nil || !v.Upgrade || !slices.Equal(v.Scopes, scopes) {
			t.Errorf("upgrade on %s: %+v, %v", path, v, err)
		}
	}
	for path, scopes := range map[string][]string{"/both": {"B"}, "/order": {"C"}} {
		v, err := table.Match("GET", path, false)
		if err != nil || v.Upgrade || !slices.Equal(v.Scopes, scopes) {
			t.Errorf("plain GET on %s: %+v, %v", path, v, err)
		}
	}
	for _, path := range []string{"/plain", "/any"} {
		_, err := table.Match("GET", path, true)
		wantRefusal(t, err, delegation.RouteDenied, errNoUpgrade)
	}
	_, err := table.Match("GET", "/nowhere", true)
	wantRefusal(t, err, delegation.RouteDenied, errNoLine)
	for _, method := range []string{"POST", "CONNECT", "HEAD", "WEBSOCKET"} {
		_, err := table.Match(method, "/both", true)
		wantRefusal(t, err, delegation.RouteDenied, errNoUpgrade)
	}
	for _, method := range []string{"GET", "WEBSOCKET", "CONNECT"} {
		_, err = table.Match(method, "/ws", false)
		wantRefusal(t, err, delegation.RouteDenied, errOtherMethods)
	}
}

// A table with a mistake in it must not load, and the message must lead to the line.
func TestNewErrors(t *testing.T) {
	ok := delegation.Route{Pattern: "/ok"}
	for _, c := range []struct {
		route delegation.Route
		want  []string
	}{
		{delegation.Route{}, []string{"line 2", "empty"}},
		{delegation.Route{Pattern: "a"}, []string{"line 2", "slash"}},
		{delegation.Route{Pattern: "/a*"}, []string{"line 2 (/a*)", "whole segment"}},
		{delegation.Route{Pattern: "/**/a"}, []string{"line 2", "at the end"}},
		{delegation.Route{Pattern: "/a//b"}, []string{"line 2", "write /a/b"}},
		{delegation.Route{Pattern: "/a", Methods: []string{"GET", "post"}}, []string{"line 2 (GET,post /a)", "write POST"}},
		{delegation.Route{Pattern: "/a", Methods: []string{"TRACE"}}, []string{"line 2", "never forwarded"}},
		{delegation.Route{Pattern: "/a", Methods: []string{"CONNECT"}}, []string{"line 2", "never forwarded"}},
		{delegation.Route{Pattern: "/a", Methods: []string{""}}, []string{"line 2", "unknown method"}},
		{delegation.Route{Pattern: "/a", Scopes: []string{"A", "D"}}, []string{"line 2", "scope D", "add it to `scopes`"}},
		{delegation.Route{Pattern: "/a", Scopes: []string{"A", "A"}}, []string{"line 2", "twice"}},
		{delegation.Route{Pattern: "/a", Scopes: []string{""}}, []string{"line 2", "empty"}},
		{delegation.Route{Pattern: "/a", Scopes: []string{"A"}, Public: true}, []string{"line 2", "public"}},
		{delegation.Route{Pattern: "/ok"}, []string{"line 2 (/ok)", "line 1 has the same"}},
		{delegation.Route{Pattern: "/ok", Methods: []string{"PUT", "POST", "PATCH", "GET", "DELETE"}}, []string{"line 2", "line 1 has the same"}},
	} {
		_, err := New([]delegation.Route{ok, c.route}, testScopes)
		if err == nil {
			t.Errorf("%+v: no error", c.route)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %q does not say %q", c.route, err, part)
			}
		}
	}
}

// Scopes are part of the key under which a token is kept: their order and
// repetitions must not make two keys of one, nor may New reorder the caller's.
func TestScopesAreSortedCopies(t *testing.T) {
	ceiling := []string{"B", "A", "B"}
	route := []string{"B", "A"}
	table, err := New([]delegation.Route{{Pattern: "/a"}, {Pattern: "/b", Scopes: route}}, ceiling)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a", "/b"} {
		v, err := table.Match("GET", path, false)
		if err != nil || !slices.Equal(v.Scopes, []string{"A", "B"}) {
			t.Errorf("%s: %v, %v", path, v.Scopes, err)
		}
	}
	if !slices.Equal(ceiling, []string{"B", "A", "B"}) || !slices.Equal(route, []string{"B", "A"}) {
		t.Errorf("the caller's scopes were changed to %v, %v", ceiling, route)
	}
}
