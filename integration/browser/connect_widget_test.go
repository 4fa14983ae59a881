// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// widgetPage is an app's page with the widget. What comes of it is its text.
const widgetPage = `<!DOCTYPE html>
<html lang="en">
<title>App</title>
<link rel="icon" href="data:,">
<script src="/platform/connect.js"></script>
<main><button id="connect">Connect</button> <output id="result"></output></main>
<script src="/app.js" defer></script>`

const widgetScript = `
const query = Object.fromEntries(new URLSearchParams(location.search))
const say = (event) => (...all) => { document.getElementById('result').textContent = JSON.stringify([event, ...all]) }
document.getElementById('connect').addEventListener('click', () => (window.Connect ?? window.HumanConnect).open({
	clientId: 'app', clientUserId: 'user-1', ...query, finish: say('finish'), close: say('close'), error: say('error'),
}))`

// TestConnectWidget protects what tests and the demo build on: in Chromium, people
// click through the simulated platform's widget, and the app's page gets a
// one-time token, with COOP and a strict policy on that page too.
func TestConnectWidget(t *testing.T) {
	for _, pattern := range []string{"connect_widget.test.mjs", "../simulator/connect/page/*", "node_modules/.package-lock.json"} {
		files, _ := filepath.Glob(pattern)
		if len(files) == 0 {
			t.Fatalf("%s is missing: run make test, or npm ci in integration/browser", pattern)
		}
		for _, file := range files { // so that a change is not answered from the test cache
			_, _ = os.ReadFile(file)
		}
	}
	sim := connect.New(connect.Options{Accounts: connect.SampleAccounts(2)})
	platform := httptest.NewServer(sim)
	t.Cleanup(platform.Close)

	// Two sites, as in reality: the platform is at 127.0.0.1, the app at localhost.
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' "+platform.URL+"; frame-src "+platform.URL+"; img-src data:")
		if r.URL.Path != "/popup" {
			w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
			w.Header().Set("Cross-Origin-Embedder-Policy", "require-corp")
		}
		if r.URL.Path == "/app.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(widgetScript))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(strings.Replace(widgetPage, "/platform", platform.URL, 1)))
	}))
	t.Cleanup(app.Close)
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	origin := "http://localhost:" + port
	if _, err := sim.Register(connect.Application{ClientID: "app", ClientSecret: "s", Name: "Sleep study", Origins: []string{origin}}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "connect_widget.test.mjs")
	cmd.Env = append(os.Environ(), "APP_URL="+origin, "PLATFORM_URL="+platform.URL)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "✔") {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := sim.Counts(); n.Redeemed == 0 || n.WrongSecrets > 0 {
		t.Errorf("counts %+v", n)
	}
}
