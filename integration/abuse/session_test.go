// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT45_SomeTokenIsNone protects against CVE-2022-29226: that there was some
// token in the request was taken for a session.
func TestT45_SomeTokenIsNone(t *testing.T) {
	const homemade = "route {\n\t\t@some header Authorization *\n\t\treverse_proxy @some [[.PlatformURL]]\n\t\trespond 401\n\t}"
	r := start(t, caddyfile("", site(""), homemade))
	alice := r.jwt("alice", nil)
	parts := strings.Split(alice, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for what, line := range map[string]string{
		"anything":           "Authorization: Bearer x",
		"empty":              "Authorization: Bearer ",
		"a scheme alone":     "Authorization: Bearer",
		"the SDK's":          "Authorization: Bearer session",
		"basic":              "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:secret")),
		"another scheme":     "Authorization: Token " + alice,
		"DPoP":               "Authorization: DPoP " + alice,
		"unsigned":           "Authorization: Bearer " + encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"unsigned, as None":  "Authorization: Bearer " + encode([]byte(`{"alg":"NoNe"}`)) + "." + parts[1] + "." + parts[2],
		"cut off":            "Authorization: Bearer " + parts[0] + "." + parts[1],
		"no signature":       "Authorization: Bearer " + parts[0] + "." + parts[1] + ".",
		"another's contents": "Authorization: Bearer " + parts[0] + "." + strings.Split(r.jwt("bob", nil), ".")[1] + "." + parts[2],
		"a key of its own":   "Authorization: Bearer " + encode([]byte(`{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`)) + "." + parts[1] + "." + parts[2],
		"quoted":             `Authorization: Bearer "` + alice + `"`,
		"dots":               "Authorization: Bearer " + strings.Repeat(".", 5000),
	} {
		for _, line := range []string{line, strings.Replace(line, "Authorization: Bearer ", "Cookie: __Host-session=", 1)} {
			if line == `Cookie: __Host-session="`+alice+`"` {
				continue // a cookie may be quoted (RFC 6265 section 4.1.1)
			}
			r.refused(what, http.StatusUnauthorized, "session_required", func() reply { return r.ask("GET", "/mdh"+apiEcho, line) })
			r.refused(what+", a token", http.StatusUnauthorized, "session_required", func() reply { return r.ask("POST", "/mdh-token", line, "Content-Length: 0") })
			r.untouched(what+", forward_auth", func() {
				if got := r.ask("GET", "/fa"+apiEcho, line); got.status != http.StatusUnauthorized {
					t.Errorf("%s, forward_auth: %d", what, got.status)
				}
			})
		}
		r.crossed(what, func() reply { return r.askHome("GET", apiEcho, line) })
	}
	r.served("a session", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, "Authorization: Bearer "+alice) })
}

// TestT46_NamesAndFixation protects against CVE-2026-40574 (a name with two @
// was read as somebody else's) and GHSA-f24x (session fixation): a session's
// user is a string that is used whole, and a session is never taken from an
// address, nor given out by the module.
func TestT46_NamesAndFixation(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	for what, claims := range map[string]map[string]any{
		"a fraction": {"sub": 1.5}, "zero": {"sub": 0}, "a list": {"sub": []string{"alice"}}, "an object": {"sub": map[string]any{"id": "alice"}}, "true": {"sub": true}, "null": {"sub": nil}, "empty": {"sub": ""},
		"NUL": {"sub": "alice\x00"}, "a line feed": {"sub": "alice\n"}, "too long": {"sub": strings.Repeat("alice", 300)},
		"no end": {"exp": nil}, "an end as text": {"exp": "9999999999"}, "over": {"exp": time.Now().Add(-time.Hour).Unix()}, "not yet": {"nbf": time.Now().Add(time.Hour).Unix()},
		"another app": {"aud": "other"}, "no app": {"aud": nil}, "an object as app": {"aud": map[string]any{"app": true}}, "another issuer": {"iss": "https://login.example.evil"}, "no issuer": {"iss": nil},
	} {
		r.refused(what, http.StatusUnauthorized, "session_required", func() reply {
			return r.ask("GET", "/mdh"+apiEcho, "Authorization: Bearer "+r.jwt("alice", claims))
		})
	}
	// A whole number is a user of that name, whom the platform does not know.
	if got := r.ask("GET", "/mdh"+apiEcho, "Authorization: Bearer "+r.jwt("alice", map[string]any{"sub": 1})); got.status != http.StatusForbidden || got.code() != "participant_unknown" {
		t.Errorf("a number: %d %s", got.status, got.body)
	}
	// Names that a careless reader takes for alice's, also where the platform
	// itself finds her by them: in another case, or by her ID.
	for _, careless := range []bool{false, true} {
		r.Platform.Set(func(s *simulator.Settings) { s.CaseInsensitiveLookup, s.LookupByID = careless, careless })
		for _, name := range []string{
			"alice@evil.example@app.example", "alice@", "@alice", "alice,bob", "alice;", "alice ", " alice", "ALICE", "Alice", stack.Alice.ID, "alice%00", "alice/../bob", "аlice", "alice\u200b",
			"bob|alice", "../alice", "alice?x", "alice#",
		} {
			calls := r.Platform.Counts()
			got := r.ask("GET", "/mdh"+apiEcho, "Authorization: Bearer "+r.jwt(name, nil))
			after := r.Platform.Counts()
			if got.code() != "participant_unknown" && got.code() != "session_required" || after.Delegated != calls.Delegated || after.ParticipantTokens != calls.ParticipantTokens {
				t.Errorf("%q: %d %s", name, got.status, got.body)
			}
		}
		r.load(strings.Replace(caddyfile("", site(""), passing), "scopes          api ", "scopes          ", 1)) // forgets them
	}
	alice := r.jwt("alice", nil)
	for _, target := range []string{"/mdh" + apiEcho + "?__Host-session=" + alice, "/mdh" + apiEcho + "?access_token=" + alice, "/mdh" + apiEcho + "?session=" + alice + "&token=" + alice, "/mdh/;__Host-session=" + alice + apiEcho} {
		r.untouched(target, func() {
			if got := r.ask("GET", target); got.status != http.StatusUnauthorized && got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", target, got.status)
			}
		})
	}
	got := r.post("/mdh-token", "__Host-session="+alice+"&access_token="+alice, "Content-Type: application/x-www-form-urlencoded")
	if got.status != http.StatusUnauthorized {
		t.Errorf("a session in the body: %d", got.status)
	}
	r.served("alice", stack.Alice, func() reply {
		got := r.ask("GET", "/mdh"+apiEcho, "Cookie: __Host-session="+alice)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("a session was given out: %q", got.header["Set-Cookie"])
		}
		return got
	})
}

// TestT48_TwoAuthenticators protects against caddy #7904 and #7859, where the
// result of two authenticators hung on the order of a map, or on a race: with
// two that name two users, all requests see the same one, over any number of
// loads, and never a mixture of both.
func TestT48_TwoAuthenticators(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	both := `
	handle_path /mdh/* {` + appSession + `
		basic_auth {
			alice ` + string(hash) + `
			bob ` + string(hash) + `
		}
		delegate_proxy mydatahelps
	}
	handle_path /fa/* {` + appSession + stack.SignIn + `
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}`
	r := newRig(t)
	text := caddyfile("", both, passing)
	basic := func(user string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":secret"))
	}
	session := "Cookie: __Host-session=" + r.jwt("bob", nil) + "; " + stack.CookieName + "=" + r.App.SignIn("alice", time.Time{})
	for i := range 10 {
		r.load(text)
		// basic_auth stands behind app_session: it has the last word.
		r.served("basic_auth behind app_session", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, session, basic("alice")) })
		// forward_auth is who the directive names.
		r.served("forward_auth behind app_session", stack.Alice, func() reply { return r.ask("GET", "/fa"+apiEcho, session) })
		for _, lines := range [][]string{{session}, {basic("alice")}, {session, "Authorization: Basic YWxpY2U6d3Jvbmc="}} {
			r.untouched("one of two", func() {
				if got := r.ask("GET", "/mdh"+apiEcho, lines...); got.status != http.StatusUnauthorized {
					t.Errorf("one of two is enough: %d %s", got.status, got.body)
				}
			})
		}
		var wait sync.WaitGroup
		before := len(r.Platform.Records())
		for range 8 {
			wait.Go(func() { r.ask("GET", "/mdh"+apiEcho, session, basic("alice")) })
		}
		wait.Wait()
		for _, record := range r.Platform.Records()[before:] {
			if record.ParticipantID != stack.Alice.ID {
				t.Errorf("load %d: %s was about %s", i, record.URI, record.ParticipantID)
			}
		}
	}
}
