// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// command runs `caddy delegate` as Caddy registered it.
func command(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	registered := caddycmd.Commands()["delegate"]
	root, cmd := &cobra.Command{Use: "caddy", SilenceUsage: true, SilenceErrors: true}, &cobra.Command{Use: "delegate"}
	registered.CobraFunc(cmd)
	root.AddCommand(cmd)
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetArgs(append([]string{"delegate"}, args...))
	err = root.ExecuteContext(t.Context())
	return b.String(), err
}

// configFile is a Caddyfile template, rendered and written to the stack's folder:
// the configuration as an operator's commands read it.
func configFile(t *testing.T, s *stack.Stack, caddyfile string) string {
	t.Helper()
	text, err := s.Render(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(s.Dir, "Caddyfile"), text)
}

// TestCheckCommand protects an operator's evening: before any user is there
// they see what works, what does not, and how to mend it; and no secret.
func TestCheckCommand(t *testing.T) {
	s := newStack(t)
	check := func(works bool, args ...string) string {
		t.Helper()
		return checks(t, s, proxied("allow GET /api/v1/delegated/participant Participant:read", ""), works, args...)
	}
	want := func(out string, lines ...string) {
		t.Helper()
		contains(t, out, lines...)
	}
	route := []string{"--subject", "alice", "--route", "GET /api/v1/delegated/participant"}
	want(check(true), "mydatahelps\n", "✓ private key        RSA of 2048 bits, SHA-256 of the public key ", "✓ platform ", "✓ clock ", "✓ project ", "✓ scopes ", "✓ service token      from "+s.PlatformURL)
	want(check(true, "--subject", "alice"), "✓ participant        found by identifier", "✓ participant token  for ")
	want(check(true, append(route, "--read")...), "✓ route              allowed, with Participant:read", "✓ participant token  for Participant:read, lives ", "✓ read               status 200, ")
	want(check(true, "--subject", "alice", "--route", "GET /api/v1/delegated/participant?a=b", "--read"), "✓ read               status 200, ")
	want(check(false, "--subject", "nobody"), "✗ participant        participant_unknown: ")
	want(check(false, "--subject", "alice", "--route", "GET /api/v1/administration/projects"), "✗ route              route_denied")

	type found struct {
		Step, Detail string
		OK, Skipped  bool
	}
	var answer struct {
		OK            bool
		Providers     map[string][]found
		Configuration []found
	}
	if err := json.Unmarshal([]byte(check(true, append(route, "--json")...)), &answer); err != nil || !answer.OK || len(answer.Providers["mydatahelps"]) != 9 || len(answer.Configuration) != 5 {
		t.Errorf("%v %+v", err, answer)
	}

	s.Platform.Set(func(set *simulator.Settings) {
		set.Outages = map[string]simulator.Outage{"token": {Status: http.StatusServiceUnavailable}}
	})
	out := check(false, append(route, "--json")...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.OK {
		t.Errorf("%v %s", err, out)
	}
	want(check(false), "✓ clock ", "✗ service token      issuer_unavailable: ")
	s.Platform.Set(func(set *simulator.Settings) { set.Outages = nil })
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s.Platform.SetKeys(&other.PublicKey)
	want(check(false), "✗ service token      credentials_rejected: ", "compare service_account and the public key, of SHA-256 ")

	for _, args := range [][]string{
		{"--provider", "none"},
		{"--route", "GET /x"},
		{"--subject", "a", "--route", "GET"},
		{"--subject", "a", "--route", "GET /a/%2e%2e/b"},
		{"--subject", "a", "--read"},
		{"--subject", "a", "--route", "POST /x", "--read"},
		{"more"},
	} {
		check(false, args...)
	}
	private, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"PRIVATE KEY", strings.Split(string(private), "\n")[1], stack.Alice.ID} {
		if strings.Contains(out, secret) {
			t.Errorf("it prints %q", secret)
		}
	}
}
