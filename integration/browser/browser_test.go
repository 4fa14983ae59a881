// SPDX-License-Identifier: Apache-2.0

// Package browser runs the platform's own JavaScript SDK, under Node and in
// Chromium, against a whole Caddy and the simulated platform. `make test`
// installs what that takes.
package browser

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// person is what the scripts need to know of a user.
type person struct {
	Cookie     string `json:"cookie"`
	ID         string `json:"id"`
	Identifier string `json:"identifier"`
}

func start(t *testing.T, caddyfile string) *stack.Stack {
	t.Helper()
	s, err := stack.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Load(caddyfile); err != nil {
		t.Fatal(err)
	}
	return s
}

// nobody is a user of the app who is no participant.
var nobody = simulator.Participant{Identifier: "mallory"}

// node runs a test script with Alice, Bob and nobody signed in, and the given
// environment variables besides.
func node(t *testing.T, s *stack.Stack, args []string, env ...string) {
	t.Helper()
	people := make([]person, 0, 3)
	for _, p := range []simulator.Participant{stack.Alice, stack.Bob, nobody} {
		people = append(people, person{stack.CookieName + "=" + s.App.SignIn(p.Identifier, time.Time{}), p.ID, p.Identifier})
	}
	who, err := json.Marshal(people)
	if err != nil {
		t.Fatal(err)
	}
	runNode(t, args, append(env, "PEOPLE="+string(who), "SIMULATOR_URL="+s.PlatformURL)...)
}

// runNode runs a test script, the last of the arguments.
func runNode(t *testing.T, args []string, env ...string) {
	t.Helper()
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the npm packages are missing: run make test, or npm ci in integration/browser")
	}
	// Only what the test itself reads tells `go test` that a result is out of date.
	for _, file := range []string{args[len(args)-1], "snippet.ts", "provider.tsx", "surveys.ts", "library.tsx", "tsconfig.json", "node_modules/.package-lock.json"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"--test", "--test-reporter=spec", "--test-timeout=300000"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A pattern that matches nothing must not pass for success.
	if !strings.Contains(string(out), "✔") {
		t.Fatalf("no test ran\n%s", out)
	}
}

// TestSDK protects that an app written with the platform's SDK works through
// the proxy: every call, each person's own data, and no token more than needed.
func TestSDK(t *testing.T) {
	const proxy = "delegate_proxy mydatahelps {"
	s := start(t, strings.Replace(stack.Caddyfile, proxy, proxy+`
			allow /api/v1/delegated/**
			allow GET /api/v2/delegated/**
			allow GET /api/v1/public/projects/*/views/*`, 1))
	node(t, s, []string{"sdk.test.mjs"}, "PROXY_BASE="+s.URL()+"/mdh/")
	if n := s.Platform.Counts(); n.ServiceTokens != 1 || n.ParticipantTokens != 2 || n.Lookups != 2 {
		t.Errorf("%d service tokens, %d participant tokens and %d lookups for two people, want 1, 2 and 2", n.ServiceTokens, n.ParticipantTokens, n.Lookups)
	}
}

// TestSDKWithDefaultRoutes protects the provider's own table of routes: it
// has to cover every call of the SDK but deletions and PUT participant.
func TestSDKWithDefaultRoutes(t *testing.T) {
	s := start(t, stack.Caddyfile)
	node(t, s, []string{
		"--test-name-pattern=^(get|query|lookup|connect|refresh|update|upload|track)|^persistDeviceData$|^invokeCustomApi$", "sdk.test.mjs",
	}, "PROXY_BASE="+s.URL()+"/mdh/")
}

// TestTokenInChromium protects what frontends are told to do: the snippet of
// the page for frontend developers keeps the SDK supplied with tokens, without a storm of requests.
func TestTokenInChromium(t *testing.T) {
	s := start(t, stack.Caddyfile)
	node(t, s, []string{"--test-name-pattern=a new token each time|many renewals|when the answer says|without a session", "token.test.mjs"}, "APP_URL="+s.URL())
}

// TestTokenInChromiumOverTLS protects the same over the protocols that
// browsers speak to a site in production.
func TestTokenInChromiumOverTLS(t *testing.T) {
	caddyfile := strings.Replace(stack.Caddyfile, "http://127.0.0.1:[[.Port]] {", "https://localhost:[[.Port]] {\n\tbind 127.0.0.1\n\ttls [[.CertFile]] [[.CertKeyFile]]", 1)
	caddyfile = strings.Replace(caddyfile, "auto_https off", "auto_https disable_redirects", 1)
	s := start(t, caddyfile)
	for _, protocol := range []string{"HTTP/2.0", "h3"} {
		t.Run(protocol, func(t *testing.T) {
			node(t, s, []string{"--test-name-pattern=many renewals|without a session", "token.test.mjs"},
				fmt.Sprintf("APP_URL=https://localhost:%d", s.Port), "PROTOCOL="+protocol, "CERTIFICATE="+keyHash(t, s.CertFile))
		})
	}
}

// keyHash names a certificate as Chromium wants it named.
func keyHash(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
