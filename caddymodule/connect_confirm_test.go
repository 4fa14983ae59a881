// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "testing"

// TestParseDecision protects the account that somebody has connected: a body that is
// not understood decides nothing.
func TestParseDecision(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		form bool
		want string // empty: refused
	}{
		"replace":              {`{"replace":true}`, false, "replace"},
		"keep":                 {`{"replace":false}`, false, "keep"},
		"null":                 {`{"replace":null}`, false, ""},
		"a string":             {`{"replace":"true"}`, false, ""},
		"a number":             {`{"replace":1}`, false, ""},
		"nothing":              {"", false, ""},
		"no member":            {"{}", false, ""},
		"another member":       {`{"accept":true}`, false, ""},
		"a member more":        {`{"replace":true,"all":true}`, false, ""},
		"a member twice":       {`{"replace":false,"replace":true}`, false, ""},
		"a form's body":        {"replace=true", false, ""},
		"a form":               {"replace=true", true, "replace"},
		"a form that keeps":    {"replace=false&popup=x", true, "keep"},
		"a form without field": {"", true, ""},
		"a field twice":        {"replace=false&replace=true", true, ""},
		"another word":         {"replace=yes", true, ""},
		"an empty field":       {"replace=", true, ""},
	} {
		replace, err := parseDecision([]byte(c.body), c.form)
		got := map[bool]string{true: "replace", false: "keep"}[replace]
		if err != nil {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
