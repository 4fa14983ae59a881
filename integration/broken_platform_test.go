// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestBroken_FieldName: participant_field is not the name that the field has in
// the project, so that nobody can be found. A value that nobody has is another
// cause, and another sentence.
func TestBroken_FieldName(t *testing.T) {
	p := simulator.Participant{ID: stack.Alice.ID, Identifier: "x1", CustomFields: map[string]string{"hospitalNumber": "alice"}}
	by := func(field string) string {
		return strings.Replace(proxied("", ""), "participant_identifier", "participant_field "+field, 1)
	}
	caddyfile, file := logged(t, by("hospitalnumber"))
	s := start(t, caddyfile, p, stack.Bob)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	says := `no participant of the project has a text in the custom field "hospitalnumber": compare participant_field with the field's name in Designer, letter by letter`
	contains(t, checks(t, s, caddyfile, false, "--subject", "alice"), "✗ participant        participant_unknown: "+says)
	cause, _ := refusedCause(t, file)
	if cause != says {
		t.Errorf("%q", cause)
	}
	caddyfile, file = logged(t, by("hospitalNumber"))
	s = start(t, caddyfile, p, stack.Bob)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	signIn(t, s, "nobody").get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	if cause, _ := refusedCause(t, file); cause != "no participant of the project has the value" {
		t.Errorf("%q", cause)
	}
}

// TestBroken_UnknownAuthority: what stands between this server and the platform
// ends TLS, with a certificate of the hospital's own.
func TestBroken_UnknownAuthority(t *testing.T) {
	s := newStack(t)
	between := httptest.NewTLSServer(s.Platform)
	t.Cleanup(between.Close)
	caddyfile, file := logged(t, strings.Replace(proxied("", ""), "[[.PlatformURL]]", between.URL, 1))
	load(t, s, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	says := "its certificate is signed by an unknown authority; name yours with ca_file"
	contains(t, checks(t, s, caddyfile, false), "✗ platform           ", says)
	cause, _ := refusedCause(t, file)
	contains(t, cause, says)
	authority := filepath.Join(s.Dir, "hospital.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: between.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	mended := strings.Replace(caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\tca_file "+authority+"\n\t\t\t}", 1)
	contains(t, checks(t, s, mended, true), "✓ platform           ")
}
