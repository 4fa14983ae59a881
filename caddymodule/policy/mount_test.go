// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// cutMounts are upstreams that a provider mounts below /withings, as they are
// for a request that the client has sent below /sources.
var cutMounts = []struct {
	upstream delegation.Upstream
	at       string // where handle_path is
}{
	{delegation.Upstream{Scheme: "https", Host: "api.vendor.example", Prefix: "/R4", Mount: "/withings"}, "/sources"},
	{delegation.Upstream{Scheme: "https", Host: "api.vendor.example", Mount: "/withings"}, "/sources"},
	{delegation.Upstream{Scheme: "https", Host: "api.vendor.example", Prefix: "/withings", Mount: "/withings"}, ""},
}

// mountOf is the mount of a request for a canonical path, and the path on the
// wire; ok is false if it is not sent.
func mountOf(u delegation.Upstream, at, path string) (m Mount, wire string, ok bool) {
	rest, ok := u.CutMount(path)
	return Mount{
		Scheme: u.Scheme, Host: u.Host, Prefix: u.Prefix, Cut: u.Mount, Path: rest,
		Received: at + path, Forwarded: path,
	}, u.Prefix + rest, ok
}

// FuzzCutMount protects what a provider's mount divides: each path below it comes
// back from the upstream as it was sent there, whole, relative or as a URL, and no
// reference leads out of the mount, to another vendor's paths for one.
func FuzzCutMount(f *testing.F) {
	for _, seed := range [][2]string{
		{"/withings/measure", "/R4/x"},
		{"/withings/", "../x"},
		{"/withings/a/b/", "../../../oura/x"},
		{"/withings/%7Ea/%c3%a9", "https://api.vendor.example/R4/oura"},
		{"/withings/withings/x", "/withings/x"},
		{"/withings", "?page=2"},
		{"/withingsx/y", "/oura"},
		{"/oura/x", "..%2foura"},
		{"/withings/a:b", "./../oura"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, path, reference string) {
		path, err := Canonical(path)
		if err != nil {
			return
		}
		for _, c := range cutMounts {
			m, wire, ok := mountOf(c.upstream, c.at, path)
			if ok != strings.HasPrefix(path, "/withings/") {
				t.Fatalf("%q: sent %v", path, ok)
			}
			if !ok {
				continue
			}
			for _, out := range []string{wire, "https://api.vendor.example" + wire} {
				if back, ok := m.LocalURL(out); !ok || back != c.at+path {
					t.Fatalf("%q is sent as %q and comes back as %q, %v", path, out, back, ok)
				}
			}
			local, ok := m.LocalURL(reference)
			if !ok {
				continue
			}
			client, err := url.Parse("https://app.example" + m.Received)
			if err != nil {
				t.Fatal(err)
			}
			// Browsers read an encoded dot in a dot segment as a dot.
			at, err := client.Parse(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(local))
			if err != nil || at.Host != "app.example" || !strings.HasPrefix(at.EscapedPath(), c.at+"/withings/") {
				t.Fatalf("of %q, %q leads to %q, which is %v, %v", path, reference, local, at, err)
			}
		}
	})
}

// TestCutMountRedirects protects a vendor's redirects, which work below the
// mount, and the browser from such as lead to another source's paths.
func TestCutMountRedirects(t *testing.T) {
	for _, c := range []struct{ location, want string }{
		{"/R4/measure", "/sources/withings/measure"},
		{"https://api.vendor.example/R4/a?b=c#d", "/sources/withings/a?b=c#d"},
		{"/R4/withings/x", "/sources/withings/withings/x"},
		{"8", "8"},
		{"../b", "../b"},
		{"?page=2", "?page=2"},
		{"../../b", ""},
		{"../../oura/b", ""},
		{"/withings/x", ""},
		{"/oura/x", ""},
		{"/R4", ""},
		{"/R4/../oura/x", ""},
		{"https://oura.example/R4/x", ""},
	} {
		m, _, _ := mountOf(cutMounts[0].upstream, cutMounts[0].at, "/withings/items/7")
		h := http.Header{"Location": {c.location}, "Link": {"<" + c.location + ">; rel=next"}}
		err := m.Localize(h, http.StatusFound)
		if c.want == "" {
			if err == nil || delegation.AsRefusal(err).Code != delegation.UpstreamRedirected {
				t.Errorf("%s leads to %q, %v", c.location, h, err)
			}
			m.LocalizeLinks(h)
			if len(h["Link"]) > 0 {
				t.Errorf("the link to %s leads to %q", c.location, h["Link"])
			}
			continue
		}
		if err != nil || h.Get("Location") != c.want || h.Get("Link") != "<"+c.want+">; rel=next" {
			t.Errorf("%s: %v, %v; want %s", c.location, h, err, c.want)
		}
	}
	// A client's own spelling of the mount is no way around it.
	m, _, _ := mountOf(cutMounts[0].upstream, cutMounts[0].at, "/withings/items/7")
	m.Received, m.Forwarded = "/sources//%77ithings/items/7", "//%77ithings/items/7"
	if got, ok := m.LocalURL("/R4/x"); !ok || got != "/sources/withings/x" {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := m.LocalURL("9"); !ok || got != "/sources/withings/items/9" {
		t.Errorf("%q, %v", got, ok)
	}
}
