// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// rotates tells whether sessions are signed, with keys that change.
func (p *loginProduct) rotates() bool { return p.signed != nil }

// TestProductsRotation protects users whose issuer signs with a new key: they go
// on, and until the key is looked for they are told to try again, not to sign in.
// Issuers are asked for their keys every 10 s at most, so that all blocks run in
// one Caddy and wait together.
func TestProductsRotation(t *testing.T) {
	text := sections(t)
	var participants []simulator.Participant
	for _, p := range loginProducts() {
		if p.rotates() {
			participants = append(participants, p.participants()...)
		}
	}
	s := newStack(t, participants...)
	var options string
	var sites strings.Builder
	var runs []*productRun
	for i, p := range loginProducts() {
		if !p.rotates() {
			continue
		}
		r := &productRun{loginProduct: p, stack: s, server: newProductServer(t, p), client: signIn(t, s, "nobody")}
		number, err := port.Free()
		if err != nil {
			t.Fatal(err)
		}
		r.client.base = fmt.Sprintf("http://127.0.0.1:%d", number)
		all := r.local(t, fenced(productsPage, text[p.name], "caddyfile")[0].text)
		global, site, _ := strings.Cut(all, "\n(session)")
		if options == "" {
			options = global
		}
		if global != options {
			t.Errorf("%s has other global options than the others:\n%s", p.name, global)
		}
		if r.server.secret != "" {
			// A secret has to be known here too: it stands twice for a while.
			line := regexp.MustCompile(`hmac_secret .*`).FindString(site)
			file := secretFile(t, s, "next")
			r.server.next = strings.Repeat("the-next-secret-", 4)
			if err := os.WriteFile(file, []byte(r.server.next), 0o600); err != nil {
				t.Fatal(err)
			}
			site = strings.ReplaceAll(site, line, line+"\n\t\thmac_secret {file."+file+"}")
		}
		site = strings.ReplaceAll("\n(session)"+site, "http://127.0.0.1:[[.Port]]", r.client.base)
		site = strings.ReplaceAll(site, "(session)", fmt.Sprintf("(session%d)", i))
		site = strings.ReplaceAll(site, "(sign_out)", fmt.Sprintf("(sign_out%d)", i))
		site = strings.ReplaceAll(site, "import sign_out", fmt.Sprintf("import sign_out%d", i))
		sites.WriteString(strings.ReplaceAll(site, "import session", fmt.Sprintf("import session%d", i)))
		runs = append(runs, r)
	}
	load(t, s, options+sites.String())
	for _, r := range runs {
		user := r.user(firstUser)
		r.served(t, user, r.headers(r.server.session(user, nil))...)
		r.server.rotate()
	}
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			user := r.user(firstUser)
			session := r.server.session(user, nil)
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
				a := r.get(t, r.headers(session)...)
				if a.StatusCode == http.StatusOK {
					break
				}
				a.want(t, http.StatusServiceUnavailable, "session_unavailable")
				if time.Now().After(deadline) {
					t.Fatal("the new key is not found")
				}
			}
			r.served(t, user, r.headers(session)...)
		})
	}
}
