// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"testing"
)

// TestAppRedirect protects people from a handle that is sent to a script, a file or
// another app: an app's scheme has a dot, and its address is read in one way.
func TestAppRedirect(t *testing.T) {
	for address, want := range map[string]string{
		"org.example.app:/connected":       "org.example.app:/connected?connect=pending&handle=x",
		"org.example.app://connected":      "org.example.app://connected?connect=pending&handle=x",
		"org.example.app:/a?b=c#d":         "org.example.app:/a?b=c&connect=pending&handle=x#d",
		"https://app.example.org/done?a=b": "https://app.example.org/done?a=b&connect=pending&handle=x",
		"https://app.example.org":          "https://app.example.org/?connect=pending&handle=x",
		"http://localhost:3000/done":       "http://localhost:3000/done?connect=pending&handle=x",
		"":                                 "", // from here on none loads
		"/done":                            "",
		"//evil.example/":                  "",
		"http://app.example.org/done":      "",
		"https:done":                       "",
		"https://u:p@app.example.org/":     "",
		"https://APP.example.org/":         "",
		"https://app.example.org/?handle=": "",
		"org.example.app:/?connect=":       "",
		"org.example.app:connected":        "",
		"org.example.app:":                 "",
		"org.example.app://u@connected":    "",
		"org.example.app:/a b":             "",
		"org.example.app:/{query.x}":       "",
		`org.example.app:/\evil.example`:   "",
		"org.example.app:/?a=%zz":          "",
		"Org.Example.App:/connected":       "",
		"app:/connected":                   "",
		"javascript:alert(1)":              "",
		"javascript://a.b/%0aalert(1)":     "",
		"data:text/html,x":                 "",
		"file:///etc/passwd":               "",
		"intent://a.b/#Intent;end":         "",
		"content://a.b/c":                  "",
	} {
		got := ""
		if p, err := ParseAppRedirect(address, "connect", "handle", "source"); err == nil {
			got = p.WithParameters(url.Values{"connect": {"pending"}, "handle": {"x"}})
			if p.IsPage() != (address[:4] == "http") {
				t.Errorf("%s: a page: %t", address, p.IsPage())
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
