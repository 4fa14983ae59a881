// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// hospital is a running stack whose provider study has a FHIR server, and a source
// whose settings a test changes.
type hospital struct {
	*sourcesRig
	vendor *sources.Vendor
	server *httptest.Server
	url    string // of the server, without path
	pem    string // of the client's key
}

// startHospital starts a FHIR server on its handler's server, and writes the private key
// of a client that is registered there.
func startHospital(t *testing.T, start func(http.Handler) *httptest.Server) *hospital {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h := &hospital{sourcesRig: &sourcesRig{connection: &connection{Stack: newStack(t), t: t}}}
	h.pem = filepath.Join(h.Dir, "client.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(h.pem, text, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := oauth.ParseClientKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	public, err := client.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(public), &keys); err != nil {
		t.Fatal(err)
	}
	h.vendor = sources.New(sources.Options{
		Name: "St Mary's", Preset: "smart", Accounts: sources.SampleAccounts(4), Clients: []sources.Client{{ID: "portal", Name: "Study", Keys: keys}},
	})
	h.server = start(h.vendor)
	t.Cleanup(h.server.Close)
	h.url = h.server.URL
	return h
}

// use has Caddy run with the source's lines.
func (h *hospital) use(lines string) {
	h.t.Helper()
	h.useSource(`source st_mary smart {
			name       "St Mary's"
			client_id  portal
			client_key {file.`+h.pem+`}
			`+lines+`
		}`, `
			allow GET      /st_mary/Observation patient/Observation.rs
			allow GET      /st_mary/Patient/*   patient/Patient.r
			allow GET,POST /st_mary/auth/*`)
}

// useSource has Caddy run with one source and the lines of its policy.
func (c *sourcesRig) useSource(source, policy string) {
	c.t.Helper()
	load(c.t, c.Stack, administered(`{`+stack.Options+`
	delegate {
		`+source+`
		provider study sources
		grants sqlite `+filepath.Join(c.Dir, "grants", "grants.db")+`
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /data/* {`+stack.SignIn+`
		delegate_proxy study {
			subject {rp.header.Remote-User}
			`+policy+`
		}
	}
	handle_path /connect/* {
		@private not method OPTIONS
		forward_auth @private [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect study {
			url     http://127.0.0.1:[[.Port]]/connect
			then    /profile?tab=data
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`))
}

// connects has somebody connect one of an account's patients.
func (h *hospital) connects(b *browser, patient string) {
	h.t.Helper()
	to := h.comesBack(b, h.decides(h.vendor, h.begins(b, "/start/st_mary", ""), sources.Decision{Account: accountID(0), Patient: patient}))
	if u, err := url.Parse(to); err != nil || u.Query().Get("connect") != "connected" {
		h.t.Fatalf("sent to %q", to)
	}
}

// TestSourcesSMART protects a hospital's patients on the whole way, with nothing in the
// settings but the FHIR base and a key: addresses by discovery, `aud` as it is written,
// the chosen child and not the parent, routes within a wider scope, and refresh. The
// client has no secret to leak.
func TestSourcesSMART(t *testing.T) {
	h := startHospital(t, httptest.NewServer)
	h.vendor.Set(func(s *sources.Settings) {
		s.FHIRBase, s.Paths.Token, s.Paths.Refresh = h.url+"/R4/", "/R4/auth/token", "/R4/auth/token"
	})
	h.use("fhir_base " + h.url + "/R4/\nallow_private")
	b := h.browser("alice")
	child := sources.SampleAccounts(1)[0].Patients[1].ID
	h.connects(b, child)

	read := func() {
		t.Helper()
		a := b.do(http.MethodGet, "/data/st_mary/Observation?patient="+child, "")
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Patient/"+child) {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	read()
	if a := b.do(http.MethodGet, "/data/st_mary/Patient/"+child, ""); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	h.vendor.ExpireAccess()
	read()
	if n := h.vendor.Counts(); n.Refreshed != 1 || n.WrongSecrets != 0 {
		t.Errorf("%+v", n)
	}
	if s := h.states(b, "/status"); s.Sources["st_mary"].APIBase != h.url+"/R4" || s.Sources["st_mary"].Missing != nil {
		t.Errorf("%+v", s)
	}
	// The second gate behind allow: the server's own endpoints.
	isCode(t, b.do(http.MethodPost, "/data/st_mary/auth/token", "grant_type=client_credentials", "Content-Type", "application/x-www-form-urlencoded"), http.StatusForbidden, "route_denied")

	if a := b.do(http.MethodDelete, "/connect/st_mary", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("disconnect: %d %s", a.StatusCode, a.body)
	}
	discoveries := 0
	for _, r := range h.vendor.Records() {
		if r.Area == "discovery" {
			discoveries++
		}
		if strings.Contains(r.Body, "client_secret") || r.Area != "data" && r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s has another credential than the key's: %s", r.Method, r.URI, r.Body)
		}
	}
	if discoveries != 1 {
		t.Errorf("%d discoveries", discoveries)
	}
}
