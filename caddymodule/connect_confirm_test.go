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
		"an app's":             {`{"replace":true,"handle":"x"}`, false, "replace by x"},
		"an empty handle":      {`{"replace":true,"handle":""}`, false, ""},
		"a handle of null":     {`{"replace":true,"handle":null}`, false, ""},
		"a handle alone":       {`{"handle":"x"}`, false, ""},
		"a handle and more":    {`{"replace":true,"handle":"x","all":true}`, false, ""},
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
		replace, handle, err := parseDecision([]byte(c.body), c.form)
		got := map[bool]string{true: "replace", false: "keep"}[replace]
		if err != nil {
			got = ""
		} else if handle != "" {
			got += " by " + handle
		}
		if got != c.want {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
