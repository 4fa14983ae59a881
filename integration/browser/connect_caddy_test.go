// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const connectPage = `<!DOCTYPE html>
<html lang="en">
<title>App</title>
<link rel="icon" href="data:,">
<main><button id="connect">Connect</button> <output id="result"></output></main>
<script src="/connect/health/connect.js"></script>
<script src="/app/page.js"></script>`

const connectPageScript = `
const say = (event) => (all) => { document.getElementById('result').textContent = JSON.stringify([event, all?.status ?? all?.code ?? '']) }
document.getElementById('connect').addEventListener('click', () => {
	document.getElementById('result').textContent = ''
	DelegateConnect.open({ onFinish: say('finish'), onClose: say('close'), onError: say('error') })
})`

// TestConnectScriptThroughCaddy protects the whole way in Chromium, with COOP and a
// strict policy on the app's page: a click, the platform's widget, its last button,
// and the person's data through the proxy; what the browser held never has the
// client's secret or the access token.
func TestConnectScriptThroughCaddy(t *testing.T) {
	for _, file := range []string{"connect_caddy.test.mjs", "../../caddymodule/connect.js"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	sim := connect.New(connect.Options{Accounts: connect.SampleAccounts(2)})
	platform := httptest.NewServer(sim)
	t.Cleanup(platform.Close)
	t.Setenv("CONNECT_SECRET", "client-secret-canary")
	s := start(t, `{`+stack.Options+`
	delegate {
		provider health connect {
			client_id     app
			client_secret {env.CONNECT_SECRET}
			exchange_url  `+platform.URL+`/v1/connect/tokens
			api_url       `+platform.URL+`
			widget_url    `+platform.URL+`/connect.js
		}
		grants sqlite [[.Dir]]/grants/grants.db
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /data/* {`+stack.SignIn+`
		delegate_proxy health {
			subject {rp.header.Remote-User}
			allow GET /v1/human/**
		}
	}
	handle_path /connect/health/* {`+stack.SignIn+`
		delegate_connect health {
			url     http://127.0.0.1:[[.Port]]/connect/health
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
	if _, err := sim.Register(connect.Application{ClientID: "app", ClientSecret: "client-secret-canary", Name: "Sleep study", Origins: []string{s.URL()}}); err != nil {
		t.Fatal(err)
	}
	serve := func(kind, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'self' "+platform.URL+"; frame-src "+platform.URL+"; img-src data:")
			_, _ = w.Write([]byte(text))
		})
	}
	// The example of the documentation, whose inline script the policy allows by its hash.
	docs, err := os.ReadFile("../../caddymodule/docs/connect.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(docs), "```html\n")
	example, _, _ = strings.Cut(example, "```")
	_, inline, ok := strings.Cut(example, `<script type="module">`)
	inline, _, _ = strings.Cut(inline, "</script>")
	if !ok {
		t.Fatal("connect.md has no example page")
	}
	sum := sha256.Sum256([]byte(inline))
	s.App.Handle("/app/docs", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'self' 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"' "+platform.URL+"; frame-src "+platform.URL+"; img-src 'self'")
		_, _ = w.Write([]byte(example))
	}))
	s.App.Handle("/app/{$}", serve("text/html; charset=utf-8", connectPage))
	s.App.Handle("/app/page.js", serve("text/javascript", connectPageScript))
	node(t, s, []string{"connect_caddy.test.mjs"}, "APP_URL="+s.URL(), "PLATFORM_URL="+platform.URL)
	if n := sim.Counts(); n.Redeemed != 3 || n.WrongSecrets > 0 || strings.Contains(connectPage, "secret") {
		t.Errorf("counts %+v", n)
	}
}
