// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/url"
	"strings"
	"testing"
)

// TestConnectPlace protects everybody who is sent to the url of a delegate_connect that
// stands elsewhere: the operator is told, and not where it is right or cannot be known.
func TestConnectPlace(t *testing.T) {
	stripped := func(prefix string) connectPlace { return connectPlace{prefix: prefix, under: prefix + "/*"} }
	at := func(p connectPlace, hosts ...string) connectPlace {
		p.hosts = hosts
		return p
	}
	for name, c := range map[string]struct {
		url   string
		place connectPlace
		want  string
	}{
		"handle_path":               {"https://app.example/connect", stripped("/connect"), ""},
		"a slash at the end":        {"https://app.example/connect/", stripped("/connect"), ""},
		"the root of a site":        {"https://connect.example", connectPlace{}, ""},
		"another path":              {"https://app.example/con", stripped("/connect"), "url has the path /con, and it stands at /connect"},
		"no path":                   {"https://app.example", stripped("/connect"), "url has the path /, and it stands at /connect"},
		"the root, and a path":      {"https://app.example/connect", connectPlace{}, "url has the path /connect, and it stands at /"},
		"handle":                    {"https://app.example/connect", connectPlace{under: "/connect/*"}, "write handle_path"},
		"another rewrite":           {"https://app.example/con", connectPlace{prefix: "/connect", unknown: true}, ""},
		"the host":                  {"https://APP.example/connect", at(stripped("/connect"), "www.example", "app.example"), ""},
		"the host with a port":      {"http://localhost:8400/connect", at(stripped("/connect"), "localhost"), ""},
		"another host":              {"http://localhost:8400/connect", at(stripped("/connect"), "127.0.0.1"), "url has the host localhost, and its site has 127.0.0.1"},
		"a wildcard":                {"https://a.b.example/connect", at(stripped("/connect"), "*.b.example"), ""},
		"a wildcard of one label":   {"https://a.b.example/connect", at(stripped("/connect"), "*.example"), "url has the host a.b.example"},
		"a host that is not known":  {"https://a.b.example/connect", at(stripped("/connect"), "{env.HOST}"), ""},
		"an address of version six": {"http://[::1]:8400/connect", at(stripped("/connect"), "::1"), ""},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.place.mismatch(u); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
	p := connectPlace{}
	p.strip("/a/", false)
	p.strip("/b", false)
	if p.prefix != "/a/b" || p.unknown {
		t.Errorf("%+v", p)
	}
}
