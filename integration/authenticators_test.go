// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// asPage sends a request as a browser does for a page's fetch.
func asPage(u *user, method, path, session string, header ...string) answer {
	u.t.Helper()
	req := u.request(method, path, nil)
	req.Header.Del("Cookie")
	if session != "" {
		req.Header.Set("Cookie", stack.CookieName+"="+session)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 AppleWebKit/537.36 Chrome/156.0 Safari/537.36")
	req.Header.Set("Accept", "*/*")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return u.do(req)
}

// TestC40_Authenticators protects who pastes a block: who is signed in at the
// product is that person at the platform, and who is not gets an answer that a
// page can read, whatever the product says to a browser.
func TestC40_Authenticators(t *testing.T) {
	for _, p := range authServers {
		t.Run(p.heading, func(t *testing.T) {
			server := newAuthServer(t, p.answer)
			s := start(t, site(strings.ReplaceAll(pastedBlock(t, p.heading), p.host, server.Listener.Addr().String())))
			u := signIn(t, s, "nobody")
			from := []string{"Origin", "https://www.example.org", "Sec-Fetch-Site", "cross-site"}

			a := asPage(u, http.MethodGet, participantPath, "alices")
			a.want(t, http.StatusOK, "")
			if !strings.Contains(a.body, stack.Alice.ID) {
				t.Errorf("it is not Alice: %s", a.body)
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				path := participantPath
				if method == http.MethodPost {
					path = "/mdh/api/v1/delegated/customevents"
				}
				a = asPage(u, method, path, "", append(from, "Remote-User", "alice", "X-Authentik-Uid", "alice", "X-Auth-Request-User", "alice")...)
				a.want(t, http.StatusUnauthorized, "session_required")
				if got := a.Header.Get("Access-Control-Allow-Origin"); got != "https://www.example.org" {
					t.Errorf("%s: a page of a trusted origin cannot read the refusal: %v", method, a.Header)
				}
				if a.Header.Get("Location") != "" {
					t.Errorf("%s: %v", method, a.Header)
				}
			}
			for _, told := range server.uris() {
				if !strings.HasPrefix(told, "/mdh/api/v1/delegated/") {
					t.Errorf("the auth server was told %q", told)
				}
			}
			a = asPage(u, http.MethodOptions, participantPath, "", append(from, "Access-Control-Request-Method", "GET")...)
			if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") == "" {
				t.Errorf("preflight: %d %v", a.StatusCode, a.Header)
			}
			if told := server.uris(); len(told) > 0 {
				t.Errorf("a preflight was asked about: %q", told)
			}
		})
	}
}

// TestC39_RulesByPath protects a rule of the auth server that names a path: it is
// told the path that was asked for, in whatever spelling Caddy takes for it.
func TestC39_RulesByPath(t *testing.T) {
	server := newAuthServer(t, authelia)
	s := start(t, site(strings.ReplaceAll(pastedBlock(t, "Authelia"), "authelia:9091", server.Listener.Addr().String())))
	u := signIn(t, s, "nobody")
	rest := strings.TrimPrefix(participantPath, "/mdh")
	for _, path := range []string{"/mdh" + rest, "/MDH" + rest, "//mdh" + rest, "/mdh/" + rest, "/%6Ddh" + rest, "/%6ddh" + rest, "/m%44h" + rest, "/mdh" + rest + "?x=/public"} {
		t.Run(path, func(t *testing.T) {
			server.uris() // of the one before
			// One factor is enough elsewhere, and not here.
			asPage(u, http.MethodGet, path, "one-factor").want(t, http.StatusUnauthorized, "session_required")
			for _, told := range server.uris() {
				if !strings.HasPrefix(told, "/mdh/") {
					t.Errorf("the auth server was told %q", told)
				}
			}
			asPage(u, http.MethodGet, path, "alices").want(t, http.StatusOK, "")
		})
	}
}

// TestC40_RedirectNamesNobody protects users from an auth server that names them
// in an answer by which it does not let them in: at the second factor, or when a
// session is over.
func TestC40_RedirectNamesNobody(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusUnauthorized} {
		server := newAuthServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Remote-User", "alice")
			http.Redirect(w, r, "https://auth.example.org/", status)
		})
		block := strings.ReplaceAll(pastedBlock(t, "Your own app"), "app:3000", server.Listener.Addr().String())
		s := start(t, site(block, "handle /mdh-token {\n"+strings.NewReplacer("handle_path /mdh/* {\n", "", "delegate_proxy", "delegate_token").Replace(block)))
		u := signIn(t, s, "nobody")
		asPage(u, http.MethodGet, participantPath, "alices").want(t, http.StatusUnauthorized, "session_required")
		asPage(u, http.MethodPost, "/mdh-token", "alices").want(t, http.StatusUnauthorized, "session_required")
		if n := s.Platform.Counts().TokenRequests; n > 0 {
			t.Errorf("%d: the platform was asked for a token", status)
		}
	}
}

// TestC43_HungServer protects users from an auth server that takes a connection
// and says nothing: each block gives up.
func TestC43_HungServer(t *testing.T) {
	hung := make(chan struct{})
	server := newAuthServer(t, func(http.ResponseWriter, *http.Request) { <-hung })
	t.Cleanup(func() { close(hung) }) // before the server is closed, which waits for it
	var blocks []string
	for i, p := range authServers {
		block := strings.ReplaceAll(pastedBlock(t, p.heading), p.host, server.Listener.Addr().String())
		blocks = append(blocks, strings.ReplaceAll(block, "/mdh", fmt.Sprintf("/mdh-%d", i)))
	}
	s := start(t, site(blocks...))
	u := signIn(t, s, "nobody")
	var all sync.WaitGroup
	for i, p := range authServers {
		all.Go(func() {
			begun := time.Now()
			a, err := u.try(u.request(http.MethodGet, strings.Replace(participantPath, "/mdh", fmt.Sprintf("/mdh-%d", i), 1), nil))
			if err != nil || a.StatusCode != http.StatusGatewayTimeout {
				t.Errorf("%s: %d %v", p.heading, a.StatusCode, err)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("%s: %s", p.heading, took)
			}
		})
	}
	all.Wait()
}

// TestC41_CaddySecurity protects users of an app behind caddy-security from
// whoever registers with their e-mail address, and pages from a redirect.
func TestC41_CaddySecurity(t *testing.T) {
	block := pastedBlock(t, "caddy-security")
	block = regexp.MustCompile(`(?s)\t\tprovider mydatahelps \{.*?\n\t\t\}\n`).ReplaceAllString(block, "\t\ttrusted_origins https://www.example.org\n"+strings.ReplaceAll(stack.Provider, "$", "$$"))
	block = strings.Replace(block, "app.example.org {", "http://127.0.0.1:[[.Port]] {", 1)
	s := start(t, strings.Replace(block, "{\n", "{\n"+stack.Options, 1))
	u := signIn(t, s, "nobody")
	a := asPage(u, http.MethodGet, participantPath, "", "Cookie", authorizerToken)
	a.want(t, http.StatusOK, "")
	if !strings.Contains(a.body, stack.Alice.ID) {
		t.Errorf("it is not Alice: %s", a.body)
	}
	if a = asPage(u, http.MethodGet, participantPath, ""); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" {
		t.Errorf("nobody: %d %v", a.StatusCode, a.Header)
	}
	a = asPage(u, http.MethodOptions, participantPath, "", "Origin", "https://www.example.org", "Access-Control-Request-Method", "GET")
	if a.StatusCode != http.StatusNoContent {
		t.Errorf("preflight: %d", a.StatusCode)
	}
}

// TestC36_BasicAuth protects pages of a trusted origin: the preflight of a call
// with a password has none.
func TestC36_BasicAuth(t *testing.T) {
	s := start(t, site(strings.ReplaceAll(pastedBlock(t, "basic_auth"), "$2a$14$…", "$2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK")))
	u := signIn(t, s, "nobody")
	a := asPage(u, http.MethodOptions, participantPath, "", "Origin", "https://www.example.org", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("preflight: %d %v", a.StatusCode, a.Header)
	}
	asPage(u, http.MethodGet, participantPath, "", "Authorization", "Basic YWxpY2U6c2VjcmV0").want(t, http.StatusOK, "")
	if a = asPage(u, http.MethodGet, participantPath, ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.StatusCode)
	}
}

// TestC35_SeveralCookies protects a session that is too large for one cookie: all
// that are set at a renewal reach the browser, with their dates.
func TestC35_SeveralCookies(t *testing.T) {
	p := authServers[4]
	server := newAuthServer(t, p.answer)
	s := start(t, site(strings.ReplaceAll(pastedBlock(t, p.heading), p.host, server.Listener.Addr().String())))
	a := asPage(signIn(t, s, "nobody"), http.MethodGet, participantPath, "alices")
	a.want(t, http.StatusOK, "")
	if got := a.Header["Set-Cookie"]; len(got) != 2 || !strings.Contains(got[0], "Expires=Wed, 21 Oct 2065 07:28:00 GMT") || !strings.HasPrefix(got[1], "_oauth2_proxy_1=b") {
		t.Errorf("%q", got)
	}
}
