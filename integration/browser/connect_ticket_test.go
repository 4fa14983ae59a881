// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestTicketsInChromium protects users of a frontend on another site, whose cookies no
// browser sends here any more, and of an app whose session cookie has SameSite=Strict,
// which no browser sends on the way back from a vendor: they connect a source, with
// what the documentation's page does and with the pages of delegate_connect. The
// vendor and the frontend are at localhost, which is another site than 127.0.0.1.
func TestTicketsInChromium(t *testing.T) {
	vendor := sources.New(sources.Options{
		Name: "City lab", Accounts: sources.SampleAccounts(3), Clients: []sources.Client{{ID: "study", Secret: "client-secret-canary", Name: "Study"}},
	})
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	vendorURL := elsewhere(server.URL)

	docs, err := os.ReadFile("../../caddymodule/docs/connect-page.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(docs), "## Apps and other sites")
	_, example, _ := strings.Cut(section, "```html\n")
	example, _, ok := strings.Cut(example, "```")
	if !ok {
		t.Fatal("connect-page.md has no example of a frontend on another site")
	}
	var page http.HandlerFunc
	frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { page(w, r) }))
	t.Cleanup(frontend.Close)
	frontendURL := elsewhere(frontend.URL)

	t.Setenv("LAB_SECRET", "client-secret-canary")
	s := start(t, `{`+stack.Options+`
	delegate {
		source city_lab {
			name              "City lab"
			auth_host_url     `+vendorURL+`
			api_host_url      `+vendorURL+`/v1
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  `+vendorURL+`/oauth2/token
			full_auth_url     auto
			client_id         study
			client_secret     {env.LAB_SECRET}
			scopes            results.read activity.read
			account           get `+vendorURL+`/v1/me id
			label             get `+vendorURL+`/v1/me email
			allow_private
		}
		provider study sources
		trusted_origins `+frontendURL+`
		grants sqlite [[.Dir]]/grants/grants.db
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /connect/* {
		@private not method OPTIONS
		forward_auth @private [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect study {
			url         http://127.0.0.1:[[.Port]]/connect
			then        /app/
			then_native `+frontendURL+`/connected
			page
			sign_in     /app/login
			subject     {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
	example = strings.NewReplacer("https://app.example.org", s.URL(), "start/withings", "start/city_lab").Replace(example)
	page = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		text := `<!DOCTYPE html><title>App</title><a href="` + s.URL() + `/connect/">To the data sources</a>`
		if r.URL.Path == "/connected" {
			text = example
		}
		_, _ = w.Write([]byte(text))
	}
	s.App.Handle("/app/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!DOCTYPE html><title>App</title><main>` + r.URL.Path + `</main>`))
	}))
	node(t, s, []string{"connect_ticket.test.mjs"}, "APP_URL="+s.URL(), "FRONTEND_URL="+frontendURL)
	if n := vendor.Counts(); n.Codes != 3 {
		t.Errorf("%+v; three people have connected", n)
	}
}

// elsewhere is an address of this machine as another site.
func elsewhere(address string) string {
	return strings.Replace(address, "127.0.0.1", "localhost", 1)
}
