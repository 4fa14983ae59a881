// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const participantPath = "/mdh/api/v1/delegated/participant"

// TestEverybodySeesTheirOwn protects the core promise, over every protocol:
// whoever is signed in reads their own record, with one token each.
func TestEverybodySeesTheirOwn(t *testing.T) {
	over(t, stack.Caddyfile, func(t *testing.T, s *stack.Stack, alice *user) {
		bob := *alice
		bob.session = signIn(t, s, "bob").session
		for range 5 {
			for _, one := range []struct {
				user *user
				want simulator.Participant
				not  simulator.Participant
			}{{alice, stack.Alice, stack.Bob}, {&bob, stack.Bob, stack.Alice}} {
				got := one.user.get(participantPath)
				got.want(t, http.StatusOK, "")
				if !strings.Contains(got.body, one.want.ID) || strings.Contains(got.body, one.not.ID) {
					t.Errorf("%s sees %s", one.want.Identifier, got.body)
				}
			}
		}
		for _, r := range s.Platform.Records() {
			if r.Area == "delegated" && r.TokenKind != "participant" {
				t.Errorf("a request went out with token kind %q", r.TokenKind)
			}
		}
	})
}

// TestConcurrentFirstRequestsMintOnce protects against a token call per
// request, and against one person's token being given to another (T01, T03).
func TestConcurrentFirstRequestsMintOnce(t *testing.T) {
	s := start(t, stack.Caddyfile)
	users := map[string]*user{stack.Alice.ID: signIn(t, s, "alice"), stack.Bob.ID: signIn(t, s, "bob")}
	var wg sync.WaitGroup
	for range 20 {
		for id, u := range users {
			wg.Go(func() {
				res, err := u.client.Do(u.request(http.MethodGet, participantPath, nil))
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				var body strings.Builder
				if err := res.Write(&body); err != nil {
					t.Error(err)
				}
				if res.StatusCode != http.StatusOK || !strings.Contains(body.String(), id) {
					t.Errorf("%d: %s", res.StatusCode, body.String())
				}
			})
		}
	}
	wg.Wait()
	if c := s.Platform.Counts(); c.ServiceTokens != 1 || c.ParticipantTokens != 2 || c.Lookups != 2 {
		t.Errorf("%+v; want 1 service token, 2 participant tokens, 2 lookups", c)
	}
}

// TestNobodySignedIn protects the door: without a session nothing is looked
// up, minted or sent.
func TestNobodySignedIn(t *testing.T) {
	// No authenticator at all: the default subject is empty.
	s := start(t, caddyfileOf("", `
	handle_path /mdh/* {
		delegate_proxy mydatahelps
	}
	handle /mdh-token {
		delegate_token mydatahelps
	}`))
	u := signIn(t, s, "alice")
	for _, path := range []string{participantPath, "/mdh/api/v1/administration/projects"} {
		got := u.get(path)
		got.want(t, http.StatusUnauthorized, "session_required")
		if got.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("WWW-Authenticate %q", got.Header.Get("WWW-Authenticate"))
		}
	}
	u.do(u.request(http.MethodPost, "/mdh-token", nil)).want(t, http.StatusUnauthorized, "session_required")
	if r := s.Platform.Records(); len(r) != 0 {
		t.Errorf("the platform was asked: %+v", r)
	}
}

// TestSignedOutWithForwardAuth protects what the page on authenticators says: the auth server's
// 401 is passed on, unless two lines leave the answer to the delegate directive,
// which has a code and CORS headers.
func TestSignedOutWithForwardAuth(t *testing.T) {
	for lines, code := range map[string]string{"": "", "@none status 401\nhandle_response @none {\n}": "session_required"} {
		caddyfile := strings.ReplaceAll(stack.Caddyfile, "uri /auth", "uri /auth\n"+lines)
		s := start(t, strings.Replace(caddyfile, "delegate {", "delegate {\n\t\ttrusted_origins https://app.example.org", 1))
		u := signIn(t, s, "alice")
		u.get(participantPath).want(t, http.StatusOK, "")
		u.session = "ended"
		for _, req := range []*http.Request{u.request(http.MethodGet, participantPath, nil), u.request(http.MethodPost, "/mdh-token", nil)} {
			req.Header.Set("Origin", "https://app.example.org")
			req.Header.Set("Remote-User", "alice") // forged
			got := u.do(req)
			got.want(t, http.StatusUnauthorized, code)
			if readable := got.Header.Get("Access-Control-Allow-Origin") != ""; readable != (code != "") {
				t.Errorf("%q: headers %v", lines, got.Header)
			}
		}
		if c := s.Platform.Counts(); c.Delegated != 1 {
			t.Errorf("%q: %d requests reached the API, want the first alone", lines, c.Delegated)
		}
	}
}

// TestBasicAuthSubject protects the default subject, {http.auth.user.id}.
func TestBasicAuthSubject(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, caddyfileOf("", `
	handle_path /mdh/* {
		basic_auth {
			alice `+string(hash)+`
		}
		delegate_proxy mydatahelps
	}`))
	u := signIn(t, s, "bob") // the cookie means nothing here
	req := u.request(http.MethodGet, participantPath, nil)
	req.SetBasicAuth("alice", "secret")
	got := u.do(req)
	got.want(t, http.StatusOK, "")
	if !strings.Contains(got.body, stack.Alice.ID) {
		t.Errorf("alice sees %s", got.body)
	}
	for _, r := range s.Platform.Records() {
		if strings.Contains(strings.Join(r.Header["Authorization"], " "), "Basic") {
			t.Errorf("the user's password went to the platform")
		}
	}
}

// TestPolicy protects the default route table: what a participant may do in
// an app, and nothing of the administration.
func TestPolicy(t *testing.T) {
	over(t, stack.Caddyfile, testPolicy)
}

func testPolicy(t *testing.T, s *stack.Stack, u *user) {
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/mdh/api/v1/delegated/surveyanswers", 200, ""},
		{"GET", "/mdh//api/v1//delegated/participant", 200, ""},
		{"GET", "/mdh/api/v2/delegated/devicedata", 200, ""},
		{"POST", "/mdh/api/v1/delegated/customevents", 200, ""},
		{"HEAD", "/mdh/api/v1/delegated/participant", 200, ""},
		{"PUT", "/mdh/api/v1/delegated/participant", 405, "method_not_allowed"},
		{"DELETE", "/mdh/api/v1/delegated/devicedata/1", 405, "method_not_allowed"},
		{"DELETE", "/mdh/api/cfhrprovideraccounts/account/1", 403, "route_denied"},
		{"GET", "/mdh/api/v1/administration/projects/" + stack.Project + "/participants", 403, "route_denied"},
		{"POST", "/mdh/identityserver/connect/token", 403, "route_denied"},
		{"GET", "/mdh/api/v1/delegated/../administration/projects", 400, "path_ambiguous"},
		{"GET", "/mdh/api/v1/delegated/%2e%2e/administration/projects", 400, "path_ambiguous"},
		{"GET", "/mdh/api/v1/delegated/..%2fadministration", 400, "path_ambiguous"},
		{"GET", "/mdh/api/v1/delegated/participant;x", 400, "path_ambiguous"},
		{"GET", "/mdh/api/v1/delegated/participant%00", 400, "path_ambiguous"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			var body io.Reader
			if c.method == http.MethodPost {
				body = strings.NewReader(`{"eventType": "opened"}`)
			}
			req := u.request(c.method, "/", body)
			// As it is: url.Parse would tidy the attack up.
			path, _, _ := strings.Cut(c.path, "?")
			req.URL.Opaque = "//" + req.URL.Host + path
			if c.method == "POST" {
				req.Header.Set("Content-Type", "application/json")
			}
			s.Platform.Reset()
			got := u.do(req)
			if c.method == "HEAD" {
				got.want(t, c.status, "")
				return
			}
			if got.StatusCode != c.status && c.status == 200 && got.StatusCode/100 == 2 {
				return
			}
			got.want(t, c.status, c.code)
			if c.status != 200 && s.Platform.Counts().Delegated != 0 {
				t.Error("the platform was asked all the same")
			}
		})
	}
}

// TestPublicRoutes protects logos and public views, which pages load without
// a session: they go out without a token.
func TestPublicRoutes(t *testing.T) {
	s := start(t, caddyfileOf("", `
	handle_path /mdh/* {
		delegate_proxy mydatahelps
	}`))
	u := signIn(t, s, "")
	u.session = ""
	req := u.request(http.MethodGet, "/mdh/api/v1/delegated/externalaccountproviders/17/logo", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site") // an <img> on another page
	u.do(req).want(t, http.StatusOK, "")
	u.get("/mdh/api/v1/public/projects/"+stack.Project+"/views/main").want(t, http.StatusOK, "")
	for _, r := range s.Platform.Records() {
		if r.TokenKind != "none" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s went out with a token of kind %q", r.URI, r.TokenKind)
		}
	}
	if c := s.Platform.Counts(); c.ServiceTokens != 0 {
		t.Errorf("%d service tokens for public routes", c.ServiceTokens)
	}
}
