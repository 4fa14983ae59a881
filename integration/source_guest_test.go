// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func init() { caddy.RegisterModule(vendors{}) }

// vendors is a third party's provider of several sources, each with an issuer, and
// an upstream of its own below /<source>: the first of its settings' arguments is
// the source, the second where it is.
type vendors struct {
	Sources map[string]string `json:"sources,omitempty"`

	name   string
	tokens map[string]delegation.Tokens
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

func (v *vendors) Open(host delegation.Host) error {
	v.name, v.tokens = host.Name(), make(map[string]delegation.Tokens)
	for source, address := range v.Sources {
		v.tokens[source] = host.SourceTokens(source, func(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
			return mintAt(ctx, address, id, refused)
		})
	}
	return nil
}

// mintAt obtains a token from the vendor at an address, and tells it which one was
// refused.
func mintAt(ctx context.Context, address string, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	form := url.Values{"subject": {id.Subject}}
	if refused != nil {
		form.Set("refused", refused.Access.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/token?"+form.Encode(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the vendor answered with status %d", res.StatusCode)
	}
	token, err := io.ReadAll(res.Body)
	now := time.Now()
	return &delegation.Token{Access: delegation.NewSecret(string(token)), Minted: now, Expires: now.Add(time.Hour)}, err
}

func (v *vendors) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	token, cached, err := v.tokens[v.source(d)].Get(ctx, v.identity(d))
	d.Cached = cached
	return delegation.Bearer{Token: token}, err
}

func (v *vendors) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	token, err := v.tokens[v.source(d)].Renew(ctx, v.identity(d), stale.(delegation.Bearer).Token)
	return delegation.Bearer{Token: token}, err
}

func (v *vendors) identity(d *delegation.Delegation) delegation.Identity {
	return delegation.Identity{Provider: v.name, Person: d.Person, Participant: d.Subject}
}

// source takes a path of no source for one of withings: that mistake must not send
// it there.
func (v *vendors) source(d *delegation.Delegation) string {
	source, _, _ := strings.Cut(strings.TrimPrefix(d.Path, "/"), "/")
	if v.Sources[source] == "" {
		return "withings"
	}
	return source
}

func (v *vendors) Upstream(d *delegation.Delegation) delegation.Upstream {
	source := v.source(d)
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

	mu      sync.Mutex
	asked   []string
	mints   []string // the subjects, and the refused tokens
	down    bool     // the token endpoint
	revoked string   // a token that is answered 401
}

func newVendor(t *testing.T) *vendor {
	v := new(vendor)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/token") {
			v.mint(w, r.URL.Query())
			return
		}
		v.asked = append(v.asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization"))
		status := http.StatusOK
		if r.Header.Get("Authorization") == "Bearer "+v.revoked {
			status = http.StatusUnauthorized
		}
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

// mint answers at the token endpoint. The caller holds mu.
func (v *vendor) mint(w http.ResponseWriter, form url.Values) {
	v.mints = append(v.mints, form.Get("subject")+" "+form.Get("refused"))
	if v.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	token := "token-of-" + form.Get("subject")
	if form.Get("refused") != "" {
		token += "-again"
	}
	_, _ = io.WriteString(w, token)
}

// set changes how the vendor answers from now on, and returns the mints since the
// last call.
func (v *vendor) set(down bool, revoked string) (mints []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down, v.revoked = down, revoked
	mints, v.mints = v.mints, nil
	return mints
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
