// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// TestParseSourceStart protects people from a page's mistake: a body that is not
// understood never asks for all that the source has, nor in the app's own browser in
// place of a ticket.
func TestParseSourceStart(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		form bool
		want string // empty: refused
	}{
		"nothing":              {"", false, "[]"},
		"no member":            {"{}", false, "[]"},
		"a list":               {`{"scopes":["a","b c"]}`, false, "[a b c]"},
		"a string":             {`{"scopes":" a  b "}`, false, "[a b]"},
		"empty list":           {`{"scopes":[]}`, false, "[]"},
		"a number":             {`{"scopes":1}`, false, ""},
		"numbers":              {`{"scopes":["a",1]}`, false, ""},
		"an object":            {`{"scopes":{"a":true}}`, false, ""},
		"a misspelt member":    {`{"scope":["a"]}`, false, ""},
		"a member more":        {`{"scopes":["a"],"device":"other"}`, false, ""},
		"a native app":         {`{"scopes":["a"],"client":"native"}`, false, "[a] native"},
		"another site":         {`{"client":"other_site","then":"https://app.example.org/"}`, false, "[] other_site https://app.example.org/"},
		"another client":       {`{"client":"browser"}`, false, ""},
		"a client of none":     {`{"client":""}`, false, ""},
		"no client":            {`{"client":null}`, false, ""},
		"an address of nobody": {`{"then":"https://app.example.org/"}`, false, ""},
		"an address of none":   {`{"client":"native","then":""}`, false, ""},
		"a form of an app":     {"client=native", true, ""},
		"a member twice":       {`{"scopes":["a"],"scopes":["b"]}`, false, ""},
		"a list alone":         {`["a"]`, false, ""},
		"no JSON":              {`scopes=a`, false, ""},
		"an empty form":        {"", true, "[]"},
		"a form":               {"scopes=a+b", true, "[a b]"},
		"a form with more":     {"popup=x&scopes=a", true, "[a]"},
		"a form without field": {"popup=x", true, "[]"},
		"a field twice":        {"scopes=a&scopes=b", true, ""},
		"no form":              {"scopes=%zz", true, ""},
	} {
		got, err := parseSourceStart([]byte(c.body), c.form)
		if shown := strings.TrimSpace(fmt.Sprint(got.scopes, " ", got.client, " ", got.then)); err == nil && shown != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %s, %v; want %q", name, shown, err, c.want)
		}
	}
}
