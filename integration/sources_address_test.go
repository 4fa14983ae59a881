// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr/dnstest"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// namedServer is a server by TLS, which is reached by a name that leads to this machine.
// It returns its address, and the lines of a source that trust its certificate.
func namedServer(t *testing.T, server *httptest.Server) (address, trust string) {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	dnstest.Answer(t, "example.com", "127.0.0.1")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return "https://example.com:" + u.Port(), "http {\nca_file " + file + "\n}\n"
}

// TestT65_SourceInAPrivateNetwork protects the neighbours of this machine from a source
// whose host leads to them, whatever its name: neither a data call with a live token, nor
// a refresh, arrives. The control is the same source with allow_private.
func TestT65_SourceInAPrivateNetwork(t *testing.T) {
	vendor := sources.New(sources.Options{
		Name: "City lab", Accounts: sources.SampleAccounts(4), Clients: []sources.Client{{ID: labClient, Secret: labSecret, Name: "Study"}},
	})
	server := httptest.NewTLSServer(vendor)
	t.Cleanup(server.Close)
	address, trust := namedServer(t, server)
	t.Setenv("LAB_SECRET", labSecret)
	c := &sourcesRig{connection: &connection{Stack: newStack(t), t: t}}
	use := func(lines string) {
		t.Helper()
		c.useSource(`source city_lab {
			name              "City lab"
			auth_host_url     `+address+`
			api_host_url      `+address+`/v1
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  `+address+`/oauth2/token
			full_auth_url     auto
			client_id         `+labClient+`
			client_secret     {env.LAB_SECRET}
			scopes            results.read activity.read
			`+trust+lines+`
		}`, `allow GET /city_lab/measurements results.read`)
	}
	use("allow_private")
	b := c.browser("alice")
	c.connects(b, "city_lab", vendor, 1)
	if a := b.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the control: %d %s", a.StatusCode, a.body)
	}

	use("")
	before := len(vendor.Records())
	isCode(t, b.do(http.MethodGet, "/data/city_lab/measurements", ""), http.StatusBadGateway, "upstream_unavailable")
	to := c.comesBack(b, c.decides(vendor, c.begins(b, "/start/city_lab", ""), sources.Decision{Account: accountID(1)}))
	if u, err := url.Parse(to); err != nil || u.Query().Get("connect") != "issuer_unavailable" {
		t.Errorf("the code is exchanged: %q", to)
	}
	for _, r := range vendor.Records()[before:] {
		if r.Area != "pages" { // the test is at the vendor's page, not Caddy
			t.Errorf("%s %s arrived", r.Method, r.URI)
		}
	}
}

// TestT65_DiscoveryInAPrivateNetwork protects them from a FHIR base, which is called
// before anybody has consented.
func TestT65_DiscoveryInAPrivateNetwork(t *testing.T) {
	h := startHospital(t, httptest.NewTLSServer)
	address, trust := namedServer(t, h.server)
	base := "fhir_base " + address + "/R4\n" + trust
	h.use(base)
	b := h.browser("alice")
	isCode(t, b.do(http.MethodPost, "/connect/start/st_mary", ""), http.StatusServiceUnavailable, "issuer_unavailable")
	if all := h.vendor.Records(); len(all) > 0 {
		t.Errorf("%s arrived", all[0].URI)
	}
	h.use(base + "allow_private")
	h.connects(b, sources.SampleAccounts(1)[0].Patients[0].ID) // the control
}
