// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestO9c_KeySwap protects who reads the log after the service account's key was
// replaced, at the issuer and here: one line says that it has changed, with the
// SHA-256 by which Designer's is compared, and the service token is obtained once
// more, and not twice, because of it; whether the file is read again or the
// configuration is.
func TestO9c_KeySwap(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, s *stack.Stack, caddyfile string){
		"the file alone": func(*testing.T, *stack.Stack, string) {},
		"and a reload":   func(t *testing.T, s *stack.Stack, caddyfile string) { load(t, s, caddyfile) },
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile, file := logged(t, proxied("", ""))
			s := start(t, caddyfile)
			s.Platform.Set(func(set *simulator.Settings) { set.ServiceTokenLifetime = 2 })
			signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
			if err := s.Rotate(); err != nil {
				t.Fatal(err)
			}
			ended := time.Now().Add(2 * time.Second)
			await(t, "the service token's end", func() bool { return time.Now().After(ended) })
			s.Platform.Set(func(set *simulator.Settings) { set.ServiceTokenLifetime = 3600 })
			swap(t, s, caddyfile)
			for _, who := range []string{"bob", "alice", "bob"} {
				signIn(t, s, who).get(participantPath).want(t, http.StatusOK, "")
			}
			minted, text := lines(t, file, "minted")
			after := 0
			_, rest, told := strings.Cut(text, "the private key has changed")
			if !told || strings.Contains(rest, "the private key has changed") {
				t.Errorf("it is not told once:\n%s", text)
			}
			for line := range strings.Lines(rest) {
				if strings.Contains(line, `"msg":"minted"`) && strings.Contains(line, `"token":"service"`) {
					after++
				}
			}
			service := 0
			for _, line := range minted {
				if line["token"] == "service" {
					service++
				}
			}
			if service != 2 || after != 1 || !strings.Contains(rest, `"public_key_sha256":"`) {
				t.Errorf("%s: %d service tokens, of which %d behind that line:\n%s", name, service, after, fmt.Sprint(text))
			}
		})
	}
}
