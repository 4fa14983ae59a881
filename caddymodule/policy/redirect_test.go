// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"strings"
	"testing"
)

// TestC16_Page protects users from a redirect that leads them to somebody
// else's page, and apps from losing a part of their own address.
func TestC16_Page(t *testing.T) {
	own, _ := url.Parse("https://app.example.org/connect/mydex")
	origins := mustOrigins(t, "https://www.example.org", "http://localhost:3000", "capacitor://localhost")
	for address, want := range map[string]string{
		"/":                                      "/?connect=connected",
		"/profile":                               "/profile?connect=connected",
		"/profile?tab=a%20b&x=1":                 "/profile?tab=a%20b&x=1&connect=connected",
		"/#/settings":                            "/?connect=connected#/settings",
		"/a?b=c#/d?e=f&connect=x":                "/a?b=c&connect=connected#/d?e=f&connect=x",
		"/..//evil.example":                      "/..//evil.example?connect=connected", // a path of this host all the same
		"/%5cevil.example":                       "/%5cevil.example?connect=connected",
		"https://app.example.org":                "https://app.example.org/?connect=connected",
		"https://app.example.org/x#y":            "https://app.example.org/x?connect=connected#y",
		"https://www.example.org/x?y=z":          "https://www.example.org/x?y=z&connect=connected",
		"https://www.example.org?y=z":            "https://www.example.org/?y=z&connect=connected",
		"http://localhost:3000/":                 "http://localhost:3000/?connect=connected",
		"capacitor://localhost/#/s":              "capacitor://localhost/?connect=connected#/s",
		"":                                       "", // from here on none loads
		"profile":                                "",
		"?tab=x":                                 "",
		"#/settings":                             "",
		"//evil.example/":                        "",
		"///evil.example/":                       "",
		`/\evil.example/`:                        "",
		`\\evil.example/`:                        "",
		"/\tevil.example":                        "",
		"/a\nLocation: https://evil.example":     "",
		" /profile":                              "",
		"/größe":                                 "",
		"/{query.to}":                            "",
		"/?connect=x":                            "",
		"/?a=%zz":                                "",
		"javascript:alert(1)":                    "",
		"javascript://app.example.org/%0aalert":  "",
		"data:text/html,x":                       "",
		"mailto:a@example.org":                   "",
		"file:///etc/passwd":                     "",
		"https:profile":                          "",
		"https:/profile":                         "",
		"https:///profile":                       "",
		"https://evil.example/":                  "",
		"https://app.example.org.evil.example/":  "",
		"https://app.example.org@evil.example/":  "",
		"https://u:p@app.example.org/":           "",
		"https://app.example.org:8443/":          "",
		"https://app.example.org:0443/":          "",
		"https://app.example.org:443/":           "",
		"https://APP.example.org/":               "",
		"HTTPS://app.example.org/":               "",
		`https://app.example.org\@evil.example/`: "",
		"https://app.example.org%2eevil.example": "",
		"https://äpp.example.org/":               "",
		"https://app。example.org/":               "",
		"https://*.example.org/":                 "",
		"http://app.example.org/":                "",
		"http://localhost/":                      "",
		"https://localhost:3000/":                "",
		"ionic://localhost/":                     "",
		"capacitor://evil/":                      "",
	} {
		page, err := ParseRedirect(address, "connect")
		if err == nil {
			err = page.CheckOrigin(own, origins)
		}
		if want == "" {
			if err == nil {
				t.Errorf("%q loads, and leads to %q", address, page.WithParameter("connect", "connected"))
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", address, err)
		} else if got := page.WithParameter("connect", "connected"); got != want {
			t.Errorf("%q leads to %q, want %q", address, got, want)
		}
	}
	// What a code has in it stays in its parameter.
	page, err := ParseRedirect("/p", "connect")
	if err != nil {
		t.Fatal(err)
	}
	if got := page.WithParameter("connect", "a&b#c"); got != "/p?connect=a%26b%23c" || strings.Contains(got, "#") {
		t.Error(got)
	}
}
