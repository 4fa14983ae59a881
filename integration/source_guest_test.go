// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func init() { caddy.RegisterModule(vendors{}) }

// vendors is a third party's provider of several sources, each with an upstream
// of its own below /<source>: the first of its settings' arguments is the source,
// the second where it is.
type vendors struct {
	Sources map[string]string `json:"sources,omitempty"`
}

func (vendors) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.vendors", New: func() caddy.Module { return new(vendors) }}
}

func (v *vendors) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	v.Sources = make(map[string]string)
	for d.NextBlock(0) {
		source, address := d.Val(), ""
		if !d.AllArgs(&address) {
			return d.ArgErr()
		}
		v.Sources[source] = address
	}
	return nil
}

func (v *vendors) Traits() delegation.Traits {
	return delegation.Traits{
		Scopes: []string{"read"}, Routes: []delegation.Route{{Pattern: "/**"}}, BaseURL: "https://vendors.example/",
		Issuer: "vendors", Fingerprint: delegation.Fingerprint([]string{fmt.Sprint(v.Sources)}),
	}
}

func (v *vendors) Open(delegation.Host) error { return nil }

func (v *vendors) Authorize(_ context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	return delegation.Bearer{Token: &delegation.Token{Access: delegation.NewSecret("token-of-" + d.Subject)}}, nil
}

func (v *vendors) Renew(_ context.Context, _ *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	return stale, nil
}

// Upstream takes a path of no source for one of withings: that mistake must not
// send it there.
func (v *vendors) Upstream(d *delegation.Delegation) delegation.Upstream {
	source, _, _ := strings.Cut(strings.TrimPrefix(d.Path, "/"), "/")
	if v.Sources[source] == "" {
		source = "withings"
	}
	base, _ := url.Parse(v.Sources[source])
	u := delegation.UpstreamAt(base)
	u.Mount = "/" + source
	return u
}

func (v *vendors) Forget(delegation.Selection) {}

// vendor is the API of one source. It notes what it is asked, and answers with
// the headers that the query names.
type vendor struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string
}

func newVendor(t *testing.T) *vendor {
	v := new(vendor)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.asked = append(v.asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization"))
		v.mu.Unlock()
		status := http.StatusOK
		for name, values := range r.URL.Query() {
			w.Header()[name] = values
			if name == "Location" {
				status = http.StatusFound
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(v.Close)
	return v
}

// seen returns what the vendor was asked since the last call.
func (v *vendor) seen() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := strings.Join(v.asked, ", ")
	v.asked = nil
	return asked
}

// vendorsCaddyfile is a Caddyfile whose provider has the sources withings, below
// /R4 of its address, and oura. between are lines between the two handlers.
func vendorsCaddyfile(withings, oura *vendor, between string) string {
	return `{` + stack.Options + `
	delegate {
		provider vendors {
			withings ` + withings.URL + `/R4
			oura     ` + oura.URL + `
		}
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /sources/* {
		route {` + stack.SignIn + `
			delegate vendors {
				subject {rp.header.Remote-User}
			}
			` + between + `
			reverse_proxy {
				dynamic delegate
				transport delegate
			}
		}
	}
}
`
}

// TestUpstreamMount protects each source's credential from the other's host: a
// path below /<source> goes to that source, without that segment, and the
// addresses in its responses are below it again.
func TestUpstreamMount(t *testing.T) {
	withings, oura := newVendor(t), newVendor(t)
	s := newStack(t)
	load(t, s, vendorsCaddyfile(withings, oura, ""))
	u := signIn(t, s, "alice")

	u.get("/sources/withings/measure?a=b").want(t, http.StatusOK, "")
	if got := withings.seen(); got != "GET /R4/measure?a=b Bearer token-of-alice" {
		t.Errorf("withings was asked %s", got)
	}
	u.get("/sources/oura//v2/%7Eme/").want(t, http.StatusOK, "")
	if got := oura.seen(); got != "GET /v2/~me/ Bearer token-of-alice" {
		t.Errorf("oura was asked %s", got)
	}
	if got := withings.seen(); got != "" {
		t.Errorf("withings was asked %s", got)
	}

	for location, want := range map[string]string{
		"/R4/next?page=2":                "/sources/withings/next?page=2",
		withings.URL + "/R4/withings/x":  "/sources/withings/withings/x",
		"8":                              "8",
		"/oura/x":                        "",
		"/withings/x":                    "",
		"../oura/x":                      "",
		oura.URL + "/x":                  "",
		withings.URL + "/R4/../../oura/": "",
	} {
		got := u.get("/sources/withings/measure?" + url.Values{"Location": {location}, "Link": {"<" + location + ">; rel=next"}}.Encode())
		if want == "" {
			got.want(t, http.StatusBadGateway, "upstream_redirected")
		} else if got.StatusCode != http.StatusFound || got.Header.Get("Location") != want || got.Header.Get("Link") != "<"+want+">; rel=next" {
			t.Errorf("%s: %d, %v", location, got.StatusCode, got.Header)
		}
	}
	withings.seen()
	oura.seen()

	for _, path := range []string{"/sources/withings", "/sources/withingsx/measure", "/sources/x/withings/measure", "/sources/"} {
		if got := u.get(path); path == "/sources/" {
			if got.StatusCode < 400 { // no line covers it
				t.Errorf("%s: %d", path, got.StatusCode)
			}
		} else {
			got.want(t, http.StatusInternalServerError, "not_delegated")
		}
	}

	// What was authorised is compared with the mount on it.
	load(t, s, vendorsCaddyfile(withings, oura, "uri replace /withings/ /oura/"))
	u.get("/sources/withings/measure").want(t, http.StatusInternalServerError, "not_delegated")
	u.get("/sources/oura/measure").want(t, http.StatusOK, "")
	if got := withings.seen() + oura.seen(); got != "GET /measure Bearer token-of-alice" {
		t.Errorf("sent: %s", got)
	}
}
