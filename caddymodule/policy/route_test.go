// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A line that is read otherwise than it was meant opens or closes the wrong route.
func TestParseRoute(t *testing.T) {
	for words, want := range map[string]delegation.Route{
		"/a":                        {Pattern: "/a"},
		"GET /a":                    {Methods: []string{"GET"}, Pattern: "/a"},
		"GET,POST /a":               {Methods: []string{"GET", "POST"}, Pattern: "/a"},
		"GET, POST PUT /a":          {Methods: []string{"GET", "POST", "PUT"}, Pattern: "/a"},
		"GET,websocket /a/** A:r":   {Methods: []string{"GET", "WEBSOCKET"}, Pattern: "/a/**", Scopes: []string{"A:r"}},
		"WebSocket /a":              {Methods: []string{"WEBSOCKET"}, Pattern: "/a"},
		"GET /a/*/b A:read B:write": {Methods: []string{"GET"}, Pattern: "/a/*/b", Scopes: []string{"A:read", "B:write"}},
		"/a GET":                    {Pattern: "/a", Scopes: []string{"GET"}},
		"OPTIONS,HEAD /":            {Methods: []string{"OPTIONS", "HEAD"}, Pattern: "/"},
	} {
		got, err := ParseRoute(strings.Fields(words))
		if err != nil {
			t.Errorf("%s: %v", words, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", words, got, want)
		}
	}
}

// A mistake must be answered with the word that is wrong and the mend, not
// with a route that nobody meant.
func TestParseRouteErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string // all in the message
	}{
		{nil, []string{"path is missing"}},
		{[]string{"GET"}, []string{"path", "GET"}},
		{[]string{"GET", "api/v1"}, []string{`"api/v1"`, "slash"}},
		{[]string{"get", "/a"}, []string{`"get"`, "write GET"}},
		{[]string{"Get,POST", "/a"}, []string{`"Get"`, "write GET"}},
		{[]string{"FETCH", "/a"}, []string{`"FETCH"`, "DELETE"}},
		{[]string{"GET;POST", "/a"}, []string{`"GET;POST"`}},
		{[]string{"CONNECT", "/a"}, []string{"CONNECT", "remove"}},
		{[]string{"trace", "/a"}, []string{"trace", "remove"}},
		{[]string{"*", "/a"}, []string{"leave the methods out"}},
		{[]string{",", "/a"}, []string{`","`}},
		{[]string{"GET,GET", "/a"}, []string{"GET", "twice"}},
		{[]string{"websocket,WEBSOCKET", "/a"}, []string{"WEBSOCKET", "twice"}},
		{[]string{"/a", "/b"}, []string{`"/b"`, "second path"}},
		{[]string{"/a", "S", "S"}, []string{"S", "twice"}},
		{[]string{"/a", `S"`}, []string{"no scope"}},
		{[]string{"/a", "S T"}, []string{"no scope"}},
		{[]string{"/a", ""}, []string{"empty"}},
		{[]string{"/a*"}, []string{"whole segment", "a*"}},
		{[]string{"/a/***"}, []string{"whole segment", "***"}},
		{[]string{"/**/a"}, []string{"at the end"}},
		{[]string{"/a/**/"}, []string{"at the end"}},
		{[]string{"/a//b"}, []string{"write /a/b"}},
		{[]string{"/é"}, []string{"write /%C3%A9"}},
		{[]string{"/%c3%a9"}, []string{"write /%C3%A9"}},
		{[]string{"/a/../b"}, []string{"dot segment"}},
		{[]string{"/a?b"}, []string{"# or ?"}},
		{[]string{"/a/{id}"}, []string{"placeholder"}},
	} {
		_, err := ParseRoute(c.args)
		if err == nil {
			t.Errorf("%q: no error", c.args)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not say %q", c.args, err, part)
			}
		}
	}
}

// What the Caddyfile accepts must compile: the error with file and line is
// the better one. And no line may let more through than its words say.
func FuzzParseRoute(f *testing.F) {
	for _, seed := range []string{"GET /a S", "GET,POST /a/*/**", "websocket /", "/a", "get /a", "/a/** x y z", ", /a", "GET, , /é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		r, err := ParseRoute(strings.Split(words, " "))
		if err != nil {
			return
		}
		table, err := New([]delegation.Route{r}, r.Scopes)
		if err != nil {
			t.Fatalf("%q was parsed as %+v, which does not compile: %v", words, r, err)
		}
		p := strings.ReplaceAll(strings.ReplaceAll(r.Pattern, "**", "x/y"), "*", "x")
		for _, method := range []string{"DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO", "WEBSOCKET"} {
			_, err := table.Match(method, p, false)
			named := slices.Contains(r.Methods, method) && method != "WEBSOCKET"
			open := named || len(r.Methods) == 0 && method == "DELETE"
			if open != (err == nil) {
				t.Fatalf("%q (%+v): %s %s gives %v", words, r, method, p, err)
			}
		}
		if _, err := table.Match("GET", p, true); (err == nil) != strings.Contains(strings.Join(r.Methods, " "), "WEBSOCKET") {
			t.Fatalf("%q (%+v): an upgrade on %s gives %v", words, r, p, err)
		}
	})
}
