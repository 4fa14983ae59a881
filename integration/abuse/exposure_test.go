// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT43_AdminStaysInside protects against CVE-2022-24797 and GO-2024-2965:
// profiles, metrics and administration were served to anybody, beside the
// site. Here none of them is on the site, and asking for them there does
// nothing. (TestNothingLeaks looks for secrets in all of them.)
func TestT43_AdminStaysInside(t *testing.T) {
	const homemade = "reverse_proxy unix/[[.Admin]] {\n\t\theader_up Host localhost\n\t\theader_up -Origin\n\t}"
	for name, c := range map[string]struct{ site, prefix string }{"handle_path": {site(""), "/mdh"}, "route": {bare(""), ""}} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(caddyfile("", c.site, homemade), "admin off", "admin unix/[[.Admin]]", 1)
			r := start(t, text)
			alice := r.cookie("alice")
			r.served("warm", stack.Alice, func() reply { return r.ask("GET", c.prefix+apiEcho, alice) })
			open := 0
			for _, path := range []string{"/config/", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/delegate/status", "/reverse_proxy/upstreams", "/id/x", "/pki/ca/local", "/stop", "/load", "/adapt"} {
				for _, lines := range [][]string{{alice}, {alice, "X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1"}, nil} {
					for _, target := range []string{path, c.prefix + path, r.URL() + path} {
						r.untouched(target, func() {
							if got := r.ask("GET", target, lines...); got.body != "" && got.code() == "" {
								t.Errorf("%s: %d %s", target, got.status, got.body)
							}
						})
					}
				}
				if path != "/stop" && r.askHome("GET", path).status == http.StatusOK {
					open++
				}
			}
			if open < 6 {
				t.Errorf("control: only %d of them are at the admin endpoint", open)
			}
			purge := []string{"Content-Type: application/json", "Content-Length: 2", alice}
			for _, target := range []string{"/delegate/purge", c.prefix + "/delegate/purge"} {
				r.send(http1("POST", target, r.authority(false), purge...) + "{}")
			}
			mints := r.Platform.Counts().ParticipantTokens
			r.served("after no purge", stack.Alice, func() reply { return r.ask("GET", c.prefix+apiEcho, alice) })
			if got := r.Platform.Counts().ParticipantTokens; got != mints {
				t.Errorf("%d tokens: the site has purged", got)
			}
			if got := r.send(http1("POST", "/delegate/purge", r.authority(true), purge...) + "{}"); got.status != http.StatusOK {
				t.Errorf("control: %d %s", got.status, got.body)
			}
			r.served("after a purge", stack.Alice, func() reply { return r.ask("GET", c.prefix+apiEcho, alice) })
			if got := r.Platform.Counts().ParticipantTokens; got != mints+1 {
				t.Errorf("control: %d tokens after a purge", got)
			}
		})
	}
}
