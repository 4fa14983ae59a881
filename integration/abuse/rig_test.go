// SPDX-License-Identifier: Apache-2.0

// Package abuse replays attacks that worked against other systems of this
// kind, byte by byte, against a whole Caddy with the delegate modules.
package abuse

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// The paths of the platform that most tests use.
const (
	apiEcho        = "/api/v1/delegated/custom/Simulator.Echo"
	apiParticipant = "/api/v1/delegated/participant"
)

// appSession signs users in by a cookie or bearer of the app's own.
const appSession = `
		app_session {
			cookie      __Host-session
			bearer
			hmac_secret {file.[[.Dir]]/session.key}
			issuer      https://login.example
			audience    app
		}`

// site has the directives behind both kinds of sign-in: app_session at /mdh/
// and /mdh-token, forward_auth at /fa/ and /fa-token. The lines go into every
// delegate_proxy.
func site(lines string) string {
	return `
	handle_path /mdh/* {` + appSession + `
		delegate_proxy mydatahelps {
			` + lines + `
		}
	}
	handle /mdh-token {` + appSession + `
		delegate_token mydatahelps
	}
	handle_path /fa/* {` + stack.SignIn + `
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
			` + lines + `
		}
	}
	handle /fa-token {` + stack.SignIn + `
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
	`
}

// bare is delegate_proxy for a whole site, with nothing stripped off the path.
func bare(lines string) string {
	return `
	route {` + appSession + `
		delegate_proxy mydatahelps {
			` + lines + `
		}
	}
	`
}

// caddyfile is a site of ours, and beside it a homemade one that the same
// attacks are tried on: where they work there, the tests see them.
func caddyfile(global, ours, homemade string) string {
	return `{` + stack.Options + global + `
	delegate {` + stack.Provider + `
	}
}
http://127.0.0.1:[[.Port]] {
	` + ours + `
}
http://homemade.localhost:[[.Port]] {
	` + homemade + `
}
`
}

// encrypted has the sites of a Caddyfile served over https, with the stack's
// certificate.
func encrypted(text string) string {
	return strings.NewReplacer(
		"http://127.0.0.1:[[.Port]] {", "https://localhost:[[.Port]] {\n\ttls [[.CertFile]] [[.CertKeyFile]]",
		"http://homemade.localhost:[[.Port]] {", "https://homemade.localhost:[[.Port]] {\n\ttls [[.CertFile]] [[.CertKeyFile]]",
	).Replace(text)
}

// rig is a running stack and what an attacker and their victims hold.
type rig struct {
	*stack.Stack
	t      testing.TB
	secret []byte     // signs sessions
	asked  func() any // what the platform has been asked for so far, tokens included
}

func newRig(t testing.TB, participants ...simulator.Participant) *rig {
	t.Helper()
	s, err := stack.New(t.TempDir(), participants...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r := &rig{Stack: s, t: t, secret: []byte("0123456789abcdef0123456789abcdef")}
	r.asked = func() any { return fmt.Sprintf("%d requests, %+v", len(s.Platform.Records()), s.Platform.Counts()) }
	if err := os.WriteFile(filepath.Join(s.Dir, "session.key"), r.secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs a Caddyfile until the test ends.
func start(t testing.TB, text string, participants ...simulator.Participant) *rig {
	t.Helper()
	r := newRig(t, participants...)
	r.load(text)
	return r
}

func (r *rig) load(text string) {
	r.t.Helper()
	if err := r.Load(text); err != nil {
		r.t.Fatal(err)
	}
}

// jwt is a session of app_session with other claims.
func (r *rig) jwt(user string, change map[string]any) string {
	r.t.Helper()
	claims := map[string]any{
		"iss": "https://login.example", "aud": "app", "sub": user,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: r.secret}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// cookie signs a user in, in both ways, and returns the header that says so.
func (r *rig) cookie(user string) string {
	r.t.Helper()
	return "Cookie: " + stack.CookieName + "=" + r.App.SignIn(user, time.Time{}) + "; __Host-session=" + r.jwt(user, nil)
}

// untouched wants the platform not to be asked for anything, tokens included,
// while f runs.
func (r *rig) untouched(what string, f func()) {
	r.t.Helper()
	before := r.asked()
	f()
	if after := r.asked(); after != before {
		r.t.Errorf("%s: the platform was asked: %v, before %v", what, after, before)
	}
}

// refused wants an answer to be a refusal of ours, and the platform not to be
// asked.
func (r *rig) refused(what string, status int, code string, ask func() reply) {
	r.t.Helper()
	r.untouched(what, func() {
		r.t.Helper()
		got := ask()
		if got.status != status || got.code() != code {
			r.t.Errorf("%s: %d %s; want %d %s", what, got.status, got.body, status, code)
		}
	})
}

// malformed wants a request to be refused before or by the module, as what no
// client may send.
func (r *rig) malformed(what string, ask func() reply) {
	r.t.Helper()
	r.untouched(what, func() {
		r.t.Helper()
		got := ask()
		switch {
		case got.status == 0, got.status/100 == 4, got.status == http.StatusNotImplemented, got.status == http.StatusHTTPVersionNotSupported:
		default:
			r.t.Errorf("%s: %d %s; want it refused", what, got.status, got.body)
		}
	})
}

// served wants an answer to come from the platform for a participant, by one
// request with one credential, and returns what the platform received.
func (r *rig) served(what string, p simulator.Participant, ask func() reply) simulator.Record {
	r.t.Helper()
	calls := r.Platform.Counts().Delegated
	got := ask()
	if got.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s; want it served", what, got.status, got.body)
	}
	if n := r.Platform.Counts().Delegated - calls; n != 1 {
		r.t.Errorf("%s: %d calls of the API", what, n)
	}
	for _, record := range slices.Backward(r.Platform.Records()) {
		if record.Area != "delegated" {
			continue
		}
		if n := len(record.Header["Authorization"]); n != 1 || record.TokenKind != "participant" || record.ParticipantID != p.ID {
			r.t.Errorf("%s: %d credentials, one of kind %s of %q; want one of %s", what, n, record.TokenKind, record.ParticipantID, p.Identifier)
		}
		return record
	}
	r.t.Fatalf("%s: it is in no record", what)
	return simulator.Record{}
}

// crossed wants the control: an attack on the homemade site that reached the
// platform, and returns what that received.
func (r *rig) crossed(what string, ask func() reply) simulator.Record {
	r.t.Helper()
	before := len(r.Platform.Records())
	got := ask()
	records := r.Platform.Records()
	if len(records) != before+1 {
		r.t.Fatalf("control, %s: %d %s: %d requests reached the platform; the test would not see the hole", what, got.status, got.body, len(records)-before)
	}
	return records[before]
}

// authority is how clients call our site, and the homemade one.
func (r *rig) authority(homemade bool) string {
	if homemade {
		return fmt.Sprintf("homemade.localhost:%d", r.Port)
	}
	return strings.TrimPrefix(r.URL(), "http://")
}
