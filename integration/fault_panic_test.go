// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func init() {
	caddy.RegisterModule(panicky{})
}

// panicky is a provider that somebody else has written, and that panics in
// whatever method its user's name says.
type panicky struct {
	URL string `json:"url,omitempty"`

	tokens delegation.Tokens
}

// panicText is what no log may hold.
const panicText = "the-token-of-somebody"

func (panicky) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.panicky", New: func() caddy.Module { return new(panicky) }}
}

func (p *panicky) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for d.NextBlock(0) {
		if !d.Args(&p.URL) {
			return d.ArgErr()
		}
	}
	return nil
}

func (p *panicky) Traits() delegation.Traits {
	return delegation.Traits{
		Scopes: []string{"s"}, Routes: []delegation.Route{{Pattern: "/**"}}, BaseURL: p.URL + "/",
		Fingerprint: delegation.Fingerprint([]string{p.URL}),
	}
}

func (p *panicky) Open(host delegation.Host) error {
	p.tokens = host.Tokens(func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
		if id.Subject == "mint" {
			panic(panicText)
		}
		return nil, errors.New("nobody needs one")
	})
	return nil
}

func (p *panicky) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	switch d.Subject {
	case "authorize":
		panic(panicText)
	case "mint":
		_, _, err := p.tokens.Get(ctx, delegation.Identity{Person: d.Person, Participant: "p"})
		return nil, err
	}
	return delegation.Bearer{Token: &delegation.Token{Access: delegation.NewSecret(d.Subject)}}, nil
}

func (p *panicky) Renew(context.Context, *delegation.Delegation, delegation.Credential) (delegation.Credential, error) {
	panic(errors.New(panicText))
}

func (p *panicky) Upstream(*delegation.Delegation) delegation.Upstream {
	u, _ := url.Parse(p.URL)
	return delegation.UpstreamAt(u)
}

func (p *panicky) Forget(delegation.Selection) { panic(panicText) }

// TestR14_ProviderPanics protects every site of the server from one provider's
// fault: it fails the request that met it, by a refusal, and nothing else. The
// log says where it was, and not what the panic said.
func TestR14_ProviderPanics(t *testing.T) {
	var unauthorized atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") == "Bearer renew" {
			unauthorized.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(upstream.Close)
	caddyfile := strings.Replace(stack.Caddyfile, stack.Provider, stack.Provider+"\n\t\tprovider panicky {\n\t\t\turl "+upstream.URL+"\n\t\t}\n", 1)
	caddyfile = strings.Replace(caddyfile, "handle {", "handle /metrics {\n\t\tmetrics\n\t}\n\thandle_path /panicky/* {"+stack.SignIn+`
		delegate_proxy panicky {
			subject {rp.header.Remote-User}
		}
	}
	handle {`, 1)
	caddyfile, file := logged(t, administered(caddyfile))
	s := start(t, caddyfile)
	well := func() {
		t.Helper()
		signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
		signIn(t, s, "fine").get("/panicky/x").want(t, http.StatusOK, "")
	}
	counted := func() int {
		_, after, _ := strings.Cut(signIn(t, s, "alice").get("/metrics").body, "\ncaddy_delegate_panics_total ")
		n, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
		return n
	}
	before := counted()
	for _, subject := range []string{"authorize", "mint", "renew"} {
		u := signIn(t, s, subject)
		u.get("/panicky/x").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
		well()
	}
	// Behind the request, where no server recovers it.
	signIn(t, s, "renew").do(signIn(t, s, "renew").request(http.MethodPost, "/panicky/stream", io.MultiReader(strings.NewReader("x")))).
		want(t, http.StatusBadGateway, "upstream_unauthorized")
	well()
	newAdmin(t, s).purge("", `"mydatahelps","panicky"`)
	well()
	await(t, "five panics that are counted", func() bool { return counted()-before == 5 })
	recovered, text := lines(t, file, "recovered from a panic, which is a fault of this module or of a provider's")
	if len(recovered) != 5 {
		t.Errorf("%d panics in the log, want 5", len(recovered))
	}
	for _, line := range recovered {
		if line["type"] == "" || !strings.Contains(line["functions"].(string), "panicky") {
			t.Errorf("%v does not tell where", line)
		}
	}
	if strings.Contains(text, panicText) {
		t.Error("the log holds what the panic said")
	}
	if unauthorized.Load() != 2 {
		t.Errorf("%d answers of 401, want 2", unauthorized.Load())
	}
}
