// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func init() { caddy.RegisterModule(brittle{}) }

// brittle is somebody else's provider that panics in those methods that
// [panicky] does not, as its user's name says; when it is loaded, as its
// setting says.
type brittle struct {
	URL   string `json:"url,omitempty"`
	Fault string `json:"fault,omitempty"`

	grants delegation.Grants
}

// at panics where the fault is.
func at(place string, is ...string) {
	for _, name := range is {
		if name == place {
			panic(panicText)
		}
	}
}

func (brittle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.brittle", New: func() caddy.Module { return new(brittle) }}
}

func (p *brittle) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for d.NextBlock(0) {
		to := map[string]*string{"url": &p.URL, "fault": &p.Fault}[d.Val()]
		if to == nil || !d.Args(to) {
			return d.ArgErr()
		}
	}
	return nil
}

func (p *brittle) Traits() delegation.Traits {
	at("traits", p.Fault)
	return delegation.Traits{
		Scopes: []string{"s"}, Routes: []delegation.Route{{Pattern: "/**"}}, BaseURL: p.URL + "/",
		Fingerprint: delegation.Fingerprint([]string{p.URL}),
	}
}

func (p *brittle) Open(host delegation.Host) error {
	at("open", p.Fault)
	p.grants = host.(delegation.GrantsHost).Grants()
	return nil
}

func (p *brittle) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	if d.Subject == "nil refusal" {
		var refusal *delegation.Refusal // a mistake that is easily made
		return nil, refusal
	}
	if d.Subject == "decode" {
		if _, err := p.grants.Get(ctx, d.Person); err != nil {
			return nil, err
		}
	}
	return brittleCredential(d.Subject), nil
}

func (p *brittle) Renew(context.Context, *delegation.Delegation, delegation.Credential) (delegation.Credential, error) {
	return nil, errors.New("there is no other")
}

func (p *brittle) Upstream(d *delegation.Delegation) delegation.Upstream {
	at("upstream", d.Subject)
	u, _ := url.Parse(p.URL)
	to := delegation.UpstreamAt(u)
	to.CredentialInURL = d.Subject == "secrets"
	return to
}

func (p *brittle) Forget(delegation.Selection)      {}
func (p *brittle) Release(delegation.Person)        { panic(panicText) }
func (p *brittle) Lookups(delegation.Selection) int { panic(panicText) }

// brittleCredential is whose it is.
type brittleCredential string

func (c brittleCredential) Apply(*http.Request) error {
	at("apply", string(c))
	return nil
}

func (c brittleCredential) Stale(*http.Response) bool {
	at("stale", string(c))
	return false
}

func (c brittleCredential) Secrets() []delegation.Secret { panic(panicText) }

// withBrittle is a Caddyfile that has it beside MyDataHelps.
func withBrittle(upstream, fault string) string {
	provider := "\n\t\tprovider brittle {\n\t\t\turl " + upstream + "\n\t\t\tfault " + fault + "\n\t\t}\n"
	text := strings.Replace(stack.Caddyfile, stack.Provider, stack.Provider+provider, 1)
	return strings.Replace(text, "handle {", "handle /metrics {\n\t\tmetrics\n\t}\n\thandle_path /brittle/* {"+stack.SignIn+`
		delegate_proxy brittle {
			subject {rp.header.Remote-User}
		}
	}
	handle_path /told/* {
		delegate_connect brittle {
			url      https://app.example.org/told
			callback 0123456789abcdef
		}
	}
	handle_path /consent/* {`+stack.SignIn+`
		delegate_connect brittle {
			url     https://app.example.org/consent
			subject {rp.header.Remote-User}
			cross_device
		}
	}
	handle {`, 1)
}

// TestH10_GuestPanics protects whoever asks, and the operator who looks for the
// cause: whatever a provider's code panics in is refused, counted as that, and in
// the log by its place, without what the panic said.
func TestH10_GuestPanics(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	text, file := logged(t, administered(withBrittle(upstream.URL, "none")))
	s := start(t, text)
	signIn(t, s, "fine").get("/brittle/x").want(t, http.StatusOK, "")
	ask := func(who, method, path string) {
		t.Helper()
		u := signIn(t, s, who)
		got, err := u.try(u.request(method, path, nil))
		if err != nil {
			t.Errorf("%s: the connection is cut: %v", who, err)
			return
		}
		got.want(t, http.StatusInternalServerError, "not_delegated")
	}
	for _, who := range []string{"upstream", "apply", "stale", "secrets"} {
		ask(who, http.MethodGet, "/brittle/x")
	}
	ask("start", http.MethodPost, "/consent/start")
	told := signIn(t, s, "told")
	if got, err := told.try(told.request(http.MethodPost, "/told/callback/0123456789abcdef", strings.NewReader("{}"))); err != nil {
		t.Errorf("what the platform tells: the connection is cut: %v", err)
	} else if got.StatusCode != http.StatusInternalServerError || got.Header.Get("Retry-After") == "" {
		t.Errorf("what the platform tells: status %d, want it to be told once more", got.StatusCode)
	}
	// No panics: mistakes of the same authors.
	ask("neither page nor error", http.MethodPost, "/consent/start")
	signIn(t, s, "nil refusal").get("/brittle/x").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	metrics := signIn(t, s, "alice").get("/metrics").body
	for _, want := range []string{
		`caddy_delegate_requests_total{outcome="answered",provider="brittle",source=""} 0`,
		`caddy_delegate_requests_total{outcome="not_delegated",provider="brittle",source=""} 6`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("not in the metrics: %s", want)
		}
	}

	const panics = 6
	recovered, all := lines(t, file, "recovered from a panic, which is a fault of this module or of a provider's")
	if len(recovered) != panics {
		t.Errorf("%d panics in the log, want %d", len(recovered), panics)
	}
	for _, line := range recovered {
		if !strings.Contains(line["functions"].(string), "brittle") {
			t.Errorf("%v does not tell where", line)
		}
	}
	if strings.Contains(all, panicText) {
		t.Error("the log holds what the panic said")
	}
}

// TestH10_PurgeBesideAGuestThatPanics protects a purge from another provider's
// fault, which is looked at before: the user's tokens are dropped all the same,
// and that somebody is not released is told.
func TestH10_PurgeBesideAGuestThatPanics(t *testing.T) {
	text, file := logged(t, administered(withBrittle("http://127.0.0.1:1", "none")))
	s := start(t, text)
	alice := signIn(t, s, "alice")
	for _, order := range []struct {
		body   string
		status int
	}{
		{`{"realm":"default","subject":"alice"}`, http.StatusOK},
		{`{"realm":"default","subject":"alice","release":true}`, http.StatusServiceUnavailable},
	} {
		alice.get(participantPath).want(t, http.StatusOK, "")
		before := s.Platform.Counts().ParticipantTokens
		if got := newAdmin(t, s).send(http.MethodPost, "/delegate/purge", order.body); got.StatusCode != order.status {
			t.Errorf("%s: status %d, %s", order.body, got.StatusCode, got.body)
		}
		alice.get(participantPath).want(t, http.StatusOK, "")
		if s.Platform.Counts().ParticipantTokens == before {
			t.Errorf("%s has not dropped the token of the other provider", order.body)
		}
	}
	if recovered, _ := lines(t, file, "recovered from a panic, which is a fault of this module or of a provider's"); len(recovered) != 3 {
		t.Errorf("%d panics in the log, want 3", len(recovered))
	}
}

// TestH10_LoadOfAGuestThatPanics protects the running configuration from a
// provider that panics when another one is loaded.
func TestH10_LoadOfAGuestThatPanics(t *testing.T) {
	s := start(t, withBrittle("http://127.0.0.1:1", "none"))
	for _, fault := range []string{"traits", "open"} {
		text, err := s.Render(withBrittle("http://127.0.0.1:1", fault))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Load(text); err == nil || strings.Contains(err.Error(), panicText) {
			t.Errorf("%s: %v", fault, err)
		}
		signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	}
}
