// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

var testMount = Mount{
	Scheme: "https", Host: "platform.example", Prefix: "/base", Path: "/api/v1/items/7",
	Received: "/mdh/api/v1/items/7", Forwarded: "/api/v1/items/7",
}

// What the platform refers to must stay below the mount, whatever the browser
// makes of it; what leads there works (A9).
func TestA9_AddressesStayBelowTheMount(t *testing.T) {
	for reference, want := range map[string]string{
		"/base/api/v1/x":                        "/mdh/api/v1/x",
		"/base/":                                "/mdh/",
		"https://platform.example/base/x?a=b#c": "/mdh/x?a=b#c",
		"https://PLATFORM.example:443/base/x":   "/mdh/x",
		"http://platform.example/base/x":        "/mdh/x",
		"//platform.example/base/x":             "/mdh/x",
		"/base/a//b":                            "/mdh/a/b",
		"/base/%7Eme/%c3%a9":                    "/mdh/~me/%C3%A9",
		"8":                                     "8",
		"8/":                                    "8/",
		"./8":                                   "./8",
		"../x?y":                                "../x?y",
		"../../../x":                            "../../../x",
		"..":                                    "..",
		"a//b":                                  "/mdh/api/v1/items/a/b",
		"?page=2":                               "?page=2",
		"#part":                                 "#part",
		"":                                      "",
		"?next=https://evil.example/&a=/../logout": "?next=https://evil.example/&a=/../logout",
	} {
		if got, ok := testMount.LocalURL(reference); !ok || got != want {
			t.Errorf("%q: %q %v, want %q", reference, got, ok, want)
		}
	}
	for _, reference := range []string{
		"/../logout", "/base/../logout", "/base/../../logout", "/base/./x", "/base/x/..", "/base/%2e%2e/logout", "/base/%2E./logout", "/base/.%2e/logout", "/base/%252e%252e/logout",
		"/base/..%2flogout", "/base/..%5clogout", "/base/..;/x", "/base/%2e%2e;/x", "/base/x%00", "/base/x%0d%0aSet-Cookie:a", "/base/\uff0e\uff0e/logout",
		"/logout", "/", "/basement/x", "/BASE/x", "https://platform.example", "https://platform.example/x", "/base",
		"//evil.example/base/x", "///evil.example/x", "////evil.example", "/\\evil.example", "\\\\evil.example", "/base\\..\\logout", "\\logout", "/base//evil.example/x",
		"https://evil.example/base/x", "https://platform.example.evil.example/base/x", "https://platform.example@evil.example/base/x", "https://user@platform.example/base/x", "https://user:pass@platform.example/base/x",
		"https://platform.example:8443/base/x", "https://platform.example:80/base/x", "http://platform.example:443/base/x", "https://platform.example./base/x", "https://%70latform.example/base/x", "https://plat\u00adform.example/base/x", "https://ｐlatform.example/base/x",
		"https:/base/x", "https:base/x", "https:///base/x", "ftp://platform.example/base/x", "javascript:alert(1)", "data:text/html,x", "blob:https://platform.example/base/x", "x:y", ":/x",
		"../../../../logout", "../../../../mdh/../logout", "../../../..", "../%2e%2e/../../logout", "%2e%2e/logout", "..%2flogout", "a/../../../../../logout", "..;/x",
		" /base/x", "/base/x ", "\t/base/x", "/base/\tx", "/ba\nse/x", "/\t/evil.example", "java\tscript:alert(1)", "/base/a b",
	} {
		if got, ok := testMount.LocalURL(reference); ok {
			t.Errorf("%q leads to %q", reference, got)
		}
	}
}

// Where the platform is mounted must have one reading too: a client chooses how
// it spells the path that is stripped.
func TestA9_MountsOfOneReading(t *testing.T) {
	for _, c := range []struct{ received, left, reference, want string }{
		{"/api/x", "/api/x", "/base/y", "/y"},
		{"//api/x", "//api/x", "/base/y", "/y"},
		{"//mdh/api/x", "/api/x", "/base/y", "/mdh/y"},
		{"//evil.example/mdh/api/x", "/api/x", "/base/y", "/evil.example/mdh/y"},
		{"//mdh/api/x", "/api/x", "y", "/mdh/api/y"},
		{"/mdh/", "/", "y", "y"},
		{"/a%20b/api/x", "/api/x", "/base/y", "/a%20b/y"},
		{"/..;/api/x", "/api/x", "/base/y", ""},
		{"/%2fevil.example/api/x", "/api/x", "/base/y", ""},
		{"/mdh", "/", "/base/y", ""},        // handle_path /mdh*
		{"/mdhapi/x", "/api/x", "y", ""},    // the same
		{"/short", "/api/x", "/base/y", ""}, // a rewrite
		{"/short", "/api/x", "y", ""},
		{"/short", "/api/x", "?page=2", "?page=2"},
	} {
		m := testMount
		m.Received, m.Forwarded, m.Path = c.received, c.left, "/api/x"
		if c.left == "/" {
			m.Path = "/"
		}
		if got, ok := m.LocalURL(c.reference); got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %s, %s: %q %v, want %q", c.left, c.received, c.reference, got, ok, c.want)
		}
	}
}

// FuzzLocal protects the mount from any reference: resolved as RFC 3986 has it,
// it is below.
func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/base/x", "../x", "//platform.example/base/../x", "a//../b", "?x", "..", "https://platform.example/base/%2e", "./.././//x"} {
		f.Add(seed)
	}
	client, err := url.Parse("https://app.example" + testMount.Received)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		local, ok := testMount.LocalURL(reference)
		if !ok {
			return
		}
		// Browsers read an encoded dot in a dot segment as a dot.
		at, err := client.Parse(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(local))
		if err != nil {
			t.Fatal(err)
		}
		path := at.EscapedPath()
		if at.Scheme != "https" || at.Host != "app.example" || at.User != nil || !strings.HasPrefix(path, "/mdh/") || strings.HasPrefix(local, "//") || strings.ContainsAny(local, "\\\t\r\n ") {
			t.Fatalf("%q leads to %q, which is %s", reference, local, at)
		}
		if _, err := Canonical(path); err != nil {
			t.Fatalf("%q leads to %q, which is %v", reference, local, err)
		}
	})
}

// A link has a browser load or connect, and a client turn pages (A9, A12).
func TestA9_LinksStayBelowTheMount(t *testing.T) {
	for _, c := range []struct {
		in, want []string
	}{
		{[]string{`</base/x?page=2>; rel="next"`}, []string{`</mdh/x?page=2>; rel="next"`}},
		{[]string{`</base/a>; rel=next, <https://platform.example/base/b>;rel=last`}, []string{`</mdh/a>; rel=next`, `</mdh/b>;rel=last`}},
		{[]string{`</base/a>; rel=preload; as=style; crossorigin`, `<b>;rel=x`}, []string{`</mdh/a>; rel=preload; as=style; crossorigin`, `<b>;rel=x`}},
		{[]string{`</base/a>; title="a, b; <c>\" d"; rel=next, </base/b>`}, []string{`</mdh/a>; title="a, b; <c>\" d"; rel=next`, `</mdh/b>`}},
		{[]string{`<https://evil.example>; rel=preconnect, </base/x>; rel=next`}, []string{`</mdh/x>; rel=next`}},
		{[]string{`</logout>; rel=preload; as=image`, `</base/../logout>; rel=prefetch`, `<//evil.example>; rel=dns-prefetch`}, nil},
		{[]string{`</base/x>; rel=preload; as=image; imagesrcset="https://evil.example/x 1x"`}, nil},
		{[]string{`</base/x>; rel=next; anchor="https://evil.example/"`, `</base/x>; ANCHOR=/logout`, `</base/x>; imagesrcset = "/logout 1x"`}, nil},
		{[]string{`/base/x; rel=next`, `</base/x`, `</base/x> rel=next`, `</base/x>; rel="next`, `<"</base/x>`, `x, </base/x>`, ``}, nil},
	} {
		if got := testMount.LocalLinks(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}
