// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// checks runs `caddy delegate check` on a Caddyfile template, and returns what it
// prints.
func checks(t *testing.T, s *stack.Stack, caddyfile string, works bool, args ...string) string {
	t.Helper()
	text, err := s.Render(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, append([]string{"check", "--config", file, "--adapter", "caddyfile"}, args...)...)
	if (err == nil) != works {
		t.Errorf("check %v: %v\n%s", args, err, out)
	}
	return out
}

// contains wants a text to have all parts.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

// lacks wants a text to have none of the parts.
func lacks(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q in\n%s", part, text)
		}
	}
}

// refusedCause is the cause of the latest refused line, with its other fields.
func refusedCause(t *testing.T, file string) (cause string, line map[string]any) {
	t.Helper()
	refused, text := lines(t, file, "refused")
	if len(refused) == 0 {
		t.Fatalf("nobody was refused:\n%s", text)
	}
	line = refused[len(refused)-1]
	return fmt.Sprint(line["cause"]), line
}

// TestBroken_O1_WrongProject: the platform answers 404 for a project that it does
// not know and for a participant alike.
func TestBroken_O1_WrongProject(t *testing.T) {
	caddyfile, file := logged(t, strings.Replace(proxied("", ""), stack.Project, "5f1d2c3b-0000-4000-8000-00000000ffff", 1))
	s := start(t, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
	contains(t, checks(t, s, caddyfile, false), "✓ service token", "✗ project            credentials_rejected: the platform does not know the project", "– scopes             not looked at: it needs project")
	cause, _ := refusedCause(t, file)
	contains(t, cause, "the platform does not know the project: compare project with the project's ID in Designer")
	lacks(t, cause, "no participant")
}

// TestBroken_O1_NobodyOfTheProject is the other cause of a 404, and another
// sentence.
func TestBroken_O1_NobodyOfTheProject(t *testing.T) {
	caddyfile, file := logged(t, proxied("", ""))
	s := start(t, caddyfile)
	signIn(t, s, "nobody").get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	cause, _ := refusedCause(t, file)
	contains(t, cause, "no participant of the project has the value")
	lacks(t, cause, "know the project", "GUID")
}

// TestBroken_O2_OtherKey: the key pair is another account's. By the SHA-256 of
// the public half an operator tells which.
func TestBroken_O2_OtherKey(t *testing.T) {
	caddyfile, file := logged(t, proxied("", ""))
	s := newStack(t)
	load(t, s, caddyfile)
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public()) // what Designer takes, without its PEM lines
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(public)
	print := hex.EncodeToString(sum[:])
	s.Platform.SetKeys()
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
	out := checks(t, s, caddyfile, false)
	contains(t, out, "✓ private key        RSA of 2048 bits, SHA-256 of the public key "+print, "✓ clock", "✗ service token      credentials_rejected: ", "the public key, of SHA-256 "+print+", with Designer")
	cause, _ := refusedCause(t, file)
	contains(t, cause, "invalid_client", "compare service_account and the public key, of SHA-256 "+print)
}

// TestBroken_O3_Clock: with a clock that is off each key looks wrong. Which way
// it is off is told, and nothing else is to be looked at.
func TestBroken_O3_Clock(t *testing.T) {
	for name, c := range map[string]struct {
		seconds int
		says    string
	}{"behind": {600, "10m0s behind the issuer's"}, "ahead": {-600, "10m0s ahead of the issuer's"}} {
		t.Run(name, func(t *testing.T) {
			caddyfile, file := logged(t, proxied("", ""))
			s := start(t, caddyfile)
			s.Platform.Set(func(set *simulator.Settings) { set.ClockSkew, set.MaxAssertionLifetime = c.seconds, 300 })
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				w.Header().Set("Date", time.Now().Add(time.Duration(c.seconds)*time.Second).UTC().Format(http.TimeFormat))
				platform.ServeHTTP(w, r)
			})
			signIn(t, s, "alice").get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
			out := checks(t, s, caddyfile, false)
			contains(t, out, "✓ platform", "✗ clock              this server's clock is ", strings.SplitN(c.says, " ", 2)[1], "set it right, by NTP")
			lacks(t, out, "service_account")
			cause, _ := refusedCause(t, file)
			contains(t, cause, "this server's clock is ", strings.SplitN(c.says, " ", 2)[1])
			lacks(t, cause, "service_account", "private_key")
		})
	}
}

// TestBroken_O4_OtherHeader: forward_auth's server names the user by another
// header than the one that subject reads.
func TestBroken_O4_OtherHeader(t *testing.T) {
	caddyfile, file := logged(t, strings.ReplaceAll(proxied("", ""), "{rp.header.Remote-User}", "{rp.header.X-Auth-Request-User}"))
	s := start(t, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusUnauthorized, "session_required")
	contains(t, checks(t, s, caddyfile, true), "✓ subject            delegate mydatahelps: {rp.header.X-Auth-Request-User} forward_auth's server says 401 to whoever has no session; see with curl that to whoever is signed in it sends X-Auth-Request-User")
	cause, _ := refusedCause(t, file)
	if want := "{rp.header.X-Auth-Request-User} is empty: the auth server answered 200 without X-Auth-Request-User, but with Remote-User"; cause != want {
		t.Errorf("%q, want %q", cause, want)
	}
}

// TestBroken_O4_NoAuthServer: nothing in front of the directive asks anybody.
func TestBroken_O4_NoAuthServer(t *testing.T) {
	caddyfile, file := logged(t, strings.Replace(proxied("", ""), stack.SignIn, "", 1))
	s := start(t, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusUnauthorized, "session_required")
	contains(t, checks(t, s, caddyfile, false), "✗ subject            delegate mydatahelps: {rp.header.Remote-User} is never set: no forward_auth stands before it")
	cause, _ := refusedCause(t, file)
	contains(t, cause, "{rp.header.Remote-User} is empty: no forward_auth was asked")
}

// TestBroken_O5_GUID: the app's users are named by the participants' IDs, and
// participant_identifier looks for something else.
func TestBroken_O5_GUID(t *testing.T) {
	caddyfile, file := logged(t, proxied("", ""))
	s := start(t, caddyfile)
	signIn(t, s, stack.Alice.ID).get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	contains(t, checks(t, s, caddyfile, false, "--subject", stack.Alice.ID), "✗ participant        participant_unknown: ", "did you mean participant_id?")
	cause, _ := refusedCause(t, file)
	contains(t, cause, "has the form of a participant's ID (a GUID): did you mean participant_id?")
	lacks(t, cause, stack.Alice.ID)
}

// TestBroken_O6_Scope: one route alone asks for a scope that the account may not
// delegate. One bad scope fails the whole request: check tries each by itself.
func TestBroken_O6_Scope(t *testing.T) {
	caddyfile, file := logged(t, strings.Replace(proxied("allow GET /api/v1/delegated/participant Participant:read\n\t\t\tallow GET /api/v1/delegated/surveyanswers SurveyAnswers:read Invented:read", ""),
		"scopes          api", "scopes          Invented:read", 1))
	s := start(t, caddyfile)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	u.get("/mdh/api/v1/delegated/surveyanswers").want(t, http.StatusBadGateway, "scope_rejected")
	says := "refuses Invented:read (asked for by allow /api/v1/delegated/surveyanswers) and none of Participant:read Project:read SurveyAnswers:read SurveyTasks:read"
	contains(t, checks(t, s, caddyfile, false), "✗ scopes             scope_rejected: tried one by one, the platform "+says, "Designer")
	contains(t, checks(t, s, caddyfile, false, "--subject", "alice"), "✗ participant token  scope_rejected: tried one by one, the platform "+says)
	checks(t, s, caddyfile, true, "--subject", "alice", "--route", "GET /api/v1/delegated/participant", "--read")
	cause, line := refusedCause(t, file)
	contains(t, cause, "invalid_scope", "asked for Invented:read SurveyAnswers:read", "Designer")
	if line["route"] != "/api/v1/delegated/surveyanswers" || line["method"] != "GET" {
		t.Errorf("%v", line)
	}
}

// TestBroken_O7_KeysAreAPage: the address of the keys answers with a page.
func TestBroken_O7_KeysAreAPage(t *testing.T) {
	l := newLogin(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html>sign in</html>")
	})
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":"http://%s","jwks_uri":"http://%s/real"}`, r.Host, r.Host)
	})
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	caddyfile, file := logged(t, strings.ReplaceAll(strings.ReplaceAll(l.caddyfile(""), l.URL+"/jwks", issuer.URL+"/keys?secret=planted"), l.URL, issuer.URL))
	s := start(t, caddyfile)
	u := signIn(t, s, "alice")
	req := u.request(http.MethodGet, participantPath, nil)
	req.Header.Set("Authorization", "Bearer "+l.session("alice", map[string]any{"iss": issuer.URL}))
	u.do(req).want(t, http.StatusServiceUnavailable, "session_unavailable")
	out := checks(t, s, caddyfile, false)
	says := issuer.URL + "/keys answers with status 200 and content type text/html: the answer is no JSON Web Key Set"
	contains(t, out, "✗ app_session ", says, "the issuer's discovery document names jwks_uri "+issuer.URL+"/real")
	cause, _ := refusedCause(t, file)
	contains(t, cause, says)
	lacks(t, cause, "planted")
}

// TestBroken_O11_Everybody: all are refused for the same reason, and the service
// looks well. One warning names the code and the mend, and so does the status.
func TestBroken_O11_Everybody(t *testing.T) {
	caddyfile, file := logged(t, administered(proxied("", "")))
	s := start(t, caddyfile)
	for i := range 25 {
		signIn(t, s, fmt.Sprintf("stranger-%d", i)).get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	}
	status := newAdmin(t, s).send(http.MethodGet, "/delegate/status", "").body
	contains(t, status, `"refused":{"participant_unknown":25}`, `"everybody_refused":"participant_unknown"`)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	status = newAdmin(t, s).send(http.MethodGet, "/delegate/status", "").body
	contains(t, status, `"refused":{"participant_unknown":25}`)
	lacks(t, status, "everybody_refused")
	warned, text := lines(t, file, "everybody is refused with one code")
	if len(warned) != 1 || warned[0]["level"] != "warn" || warned[0]["code"] != "participant_unknown" || warned[0]["people"] != 20.0 ||
		!strings.Contains(fmt.Sprint(warned[0]["mend"]), "participant_identifier") || !strings.Contains(fmt.Sprint(warned[0]["cause"]), "no participant of the project") {
		t.Errorf("%v", warned)
	}
	lacks(t, text, "stranger-")
}

// TestO11_SessionsOfEverybody is the same of app_session, which belongs to no
// provider: here to a login whose audience is another one.
func TestO11_SessionsOfEverybody(t *testing.T) {
	l := newLogin(t)
	caddyfile, file := logged(t, administered(l.caddyfile("")))
	s := start(t, caddyfile)
	u := signIn(t, s, "nobody")
	for i := range 20 {
		req := u.request(http.MethodGet, participantPath, nil)
		req.Header.Set("Authorization", "Bearer "+l.session(fmt.Sprintf("user-%d", i), map[string]any{"aud": "another"}))
		u.do(req).want(t, http.StatusUnauthorized, "session_required")
	}
	contains(t, newAdmin(t, s).send(http.MethodGet, "/delegate/status", "").body, `"sessions":{"refused":{"session_required":20},"everybody_refused":"session_required",`)
	warned, _ := lines(t, file, "everybody is refused with one code")
	if len(warned) != 1 || warned[0]["code"] != "session_required" || !strings.Contains(fmt.Sprint(warned[0]["cause"]), "aud") {
		t.Errorf("%v", warned)
	}
}

// TestO12_MethodAndRoute protects operators from paths in the log, which may hold
// IDs, and from lines that do not say which route they are about.
func TestO12_MethodAndRoute(t *testing.T) {
	caddyfile, file := logged(t, proxied("allow GET /api/v1/delegated/custom/*\n\t\t\tallow POST /api/v1/delegated/files", ""))
	s := start(t, caddyfile)
	u := signIn(t, s, "nobody")
	u.get("/mdh/api/v1/delegated/custom/planted-id").want(t, http.StatusForbidden, "participant_unknown")
	u.get("/mdh/api/v1/delegated/planted-other").want(t, http.StatusForbidden, "route_denied")
	u.get("/mdh/api/v1/delegated/files").want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	u.do(u.request("PLANTED", "/mdh/api/v1/delegated/files", nil)).want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	refused, text := lines(t, file, "refused")
	var got []string
	for _, line := range refused {
		got = append(got, fmt.Sprint(line["code"], " ", line["method"], " ", line["route"]))
	}
	want := "[participant_unknown GET /api/v1/delegated/custom/* route_denied GET no line method_not_allowed GET no line method_not_allowed other no line]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	lacks(t, strings.ToLower(text), "planted")
}
