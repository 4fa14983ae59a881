// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	sourcesSecret = "canary-sources-client-secret"
	sourcesLogo   = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 44"><circle cx="22" cy="22" r="18" fill="#0a7d6c"/></svg>`
)

// TestConnectSourcesThroughCaddy protects the way of a person from the page of sources
// to their first data, in Chromium through a whole Caddy with three vendors on another
// site: of OAuth 2 with PKCE, a hospital and OAuth 1.0a. It is four clicks, with script,
// without, and in a popup under Cross-Origin-Opener-Policy on both sides; no browser is
// given a token or the client's secret.
func TestConnectSourcesThroughCaddy(t *testing.T) {
	for _, file := range []string{"connect_sources.test.mjs", "../../caddymodule/connectpage/connect.js", "../../caddymodule/connectpage/page.js", "../../caddymodule/connectpage/style.css"} {
		if _, err := os.ReadFile(file); err != nil { // so that a change is not answered from the test cache
			t.Fatal(err)
		}
	}
	logo := filepath.Join(t.TempDir(), "lab.svg")
	if err := os.WriteFile(logo, []byte(sourcesLogo), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCES_SECRET", sourcesSecret)
	vendors := make(map[string]*sources.Vendor)
	serve := func(preset, name string) string {
		vendor := sources.New(sources.Options{
			Preset: preset, Name: name, Accounts: sources.SampleAccounts(20), Clients: []sources.Client{{ID: "study", Secret: sourcesSecret, Name: "Heart Study"}},
		})
		vendors[preset] = vendor
		server := httptest.NewServer(vendor)
		t.Cleanup(server.Close)
		return strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // another site than the app's
	}
	city, hospital, old := serve("city_lab", "City lab"), serve("smart", "St. Mary's"), serve("old_lab", "Old lab")
	s := start(t, `{`+stack.Options+`
	delegate {
		source city_lab {
			name              "City lab"
			auth_host_url     `+city+`
			api_host_url      `+city+`/v1
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  `+city+`/oauth2/token
			full_auth_url     auto
			client_id         study
			client_secret     {env.SOURCES_SECRET}
			scopes            results.read
			account           get `+city+`/v1/me id
			label             get `+city+`/v1/me email
			logo              `+logo+`
			allow_private
		}
		source st_mary smart {
			name          "St. Mary's"
			fhir_base     `+hospital+`/R4
			client_id     study
			client_secret {env.SOURCES_SECRET}
			allow_private
		}
		source old_lab {
			name              "Old lab"
			auth_host_url     `+old+`
			api_host_url      `+old+`
			auth_url          /oauth1/authorize
			request_token_url /oauth1/request_token
			access_token_url  /oauth1/access_token
			full_auth_url     auto
			client_id         study
			client_secret     {env.SOURCES_SECRET}
			account           get /v1/me id
			label             get /v1/me email
			allow_private
		}
		provider study sources
		grants sqlite [[.Dir]]/grants/grants.db
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /data/* {`+stack.SignIn+`
		delegate_proxy study {
			subject {rp.header.Remote-User}
			allow GET /city_lab/measurements results.read
			allow GET /st_mary/Observation   patient/Observation.rs
			allow GET /old_lab/v1/sleep
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
			then    /app/
			subject {rp.header.Remote-User}
			page    "Heart Study"
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
	app := func(kind, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'self'; img-src data:")
			_, _ = w.Write([]byte(text))
		})
	}
	s.App.Handle("/app/{$}", app("text/html; charset=utf-8", strings.Replace(connectPage, "/connect/health/", "/connect/", 1)))
	s.App.Handle("/app/page.js", app("text/javascript", connectPageScript))
	node(t, s, []string{"connect_sources.test.mjs"}, "APP_URL="+s.URL(), "CITY_URL="+city, "HOSPITAL_URL="+hospital, "OLD_URL="+old)
	for preset, vendor := range vendors {
		if n := vendor.Counts(); n.WrongSecrets+n.WrongSignature+n.CodesReused+n.RefreshReused > 0 {
			t.Errorf("%s: %+v", preset, n)
		}
	}
}
