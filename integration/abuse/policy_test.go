// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT22_LongLists protects against CVE-2026-27587 (escapes in another case
// were not the same path) and CVE-2026-27588 (with more than 100 entries a
// faster comparison took over, which judged case otherwise): a policy means
// the same with 5 and with 205 lines, and however the path is written.
func TestT22_LongLists(t *testing.T) {
	const few = `allow GET /api/v1/delegated/custom/%C3%84
			allow GET /api/v1/delegated/custom/Simulator.Echo
			allow POST /api/v1/delegated/custom/Simulator.Post
			allow GET /api/v1/delegated/participant Participant:read
			allow GET /api/v1/delegated/files/**`
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, "allow GET /api/v1/delegated/filler%03d\n\t\t\t", i)
	}
	const homemade = "route {\n\t\t@closed vars_regexp {uri} ^/api/v1/delegated/secret%2Ffiles\n\t\trespond @closed 403\n\t\treverse_proxy [[.PlatformURL]]\n\t}"
	for name, lines := range map[string]string{"few": few, "many": many.String() + few} {
		t.Run(name, func(t *testing.T) {
			mounted(t, lines, homemade, func(t *testing.T, r *rig, prefix string) {
				alice := r.cookie("alice")
				for path, p := range map[string]string{
					apiEcho:                             apiEcho,
					apiParticipant:                      apiParticipant,
					"/api/v1/%64elegated/%70articipant": apiParticipant,
					"/api/v1/delegated/custom/%c3%84":   "/api/v1/delegated/custom/%C3%84",
					"/api/v1/delegated/custom/%C3%84":   "/api/v1/delegated/custom/%C3%84",
				} {
					record := r.served(path, stack.Alice, func() reply { return r.ask("GET", prefix+path, alice) })
					if record.URI != p {
						t.Errorf("%s was sent as %s", path, record.URI)
					}
				}
				for _, path := range []string{
					"/API/v1/delegated/participant", "/api/v1/Delegated/participant", "/api/v1/delegated/PARTICIPANT", "/api/v1/delegated/%50articipant",
					"/api/v1/delegated/custom/simulator.echo", "/api/v1/delegated/custom/%c3%a4", "/api/v1/delegated/FILLER007", "/api/v1/delegated/filler200", "/api/v1/delegated/custom/Simulator%2DEcho",
				} {
					r.refused(path, http.StatusForbidden, "route_denied", func() reply { return r.ask("GET", prefix+path, alice) })
				}
				for _, path := range []string{"/api/v1/delegated/files%2fx", "/api/v1/delegated/files%2Fx", "/api/v1/delegated/files/%2e%2E/participant"} {
					r.refused(path, http.StatusBadRequest, "path_ambiguous", func() reply { return r.ask("GET", prefix+path, alice) })
				}
				r.refused("another method", http.StatusMethodNotAllowed, "method_not_allowed", func() reply {
					return r.ask("GET", prefix+"/api/v1/delegated/custom/Simulator.Post", alice)
				})
				r.crossed("an escape in another case", func() reply { return r.askHome("GET", "/api/v1/delegated/secret%2ffiles") })
			})
		})
	}
}

// TestT23_PrefixesEndAtSegments protects against GHSA-gx7w-56w6-g48x: the
// policy for /pki/ca/prod covered /pki/ca/prod-backup as well.
func TestT23_PrefixesEndAtSegments(t *testing.T) {
	const homemade = "route {\n\t\t@open path /api/v1/delegated/participant*\n\t\treverse_proxy @open [[.PlatformURL]]\n\t\trespond 403\n\t}"
	mounted(t, "allow GET /api/v1/delegated/participant\n\t\t\tallow GET /api/v1/delegated/custom/*\n\t\t\tallow GET /api/v1/delegated/files/**", homemade, func(t *testing.T, r *rig, prefix string) {
		alice := r.cookie("alice")
		for _, path := range []string{
			apiParticipant + "s", apiParticipant + "-backup", apiParticipant + "/", apiParticipant + "/x", apiParticipant + ",x", apiParticipant + "%20x", apiParticipant + ":admin", apiParticipant + "=x",
			"/api/v1/delegated/custom", "/api/v1/delegated/custom/", "/api/v1/delegated/custom/a/b", "/api/v1/delegated/custom-x/a", "/api/v1/delegated/customs/a",
			"/api/v1/delegated/files-backup/x", "/api/v1/delegated/filesystem", "/x/api/v1/delegated/participant", "/api/v1/delegated", "/api/v1/delegatedparticipant", "/",
		} {
			r.refused(path, http.StatusForbidden, "route_denied", func() reply { return r.ask("GET", prefix+path, alice) })
		}
		r.served("as it is listed", stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho, alice) })
		r.crossed("-backup", func() reply { return r.askHome("GET", apiParticipant+"-backup") })
		if prefix != "" {
			// The prefix of handle_path is one, too.
			for _, path := range []string{"/mdhx" + apiEcho, "/mdh-token/", "/mdh-token/x", "/mdh-tokens", "/MDH-token/"} {
				r.untouched(path, func() { r.ask("POST", path, alice, "Content-Length: 0") })
			}
		}
	})
}
