// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// authServer answers forward_auth as a product's documentation says.
type authServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked []http.Header
}

func newAuthServer(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *authServer {
	t.Helper()
	a := new(authServer)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Header.Clone())
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// uris are the addresses that it was told.
func (a *authServer) uris() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.asked {
		all = append(all, h.Get("X-Forwarded-Uri"))
	}
	a.asked = nil
	return all
}

// has tells whether a request has the session of the stack's user Alice.
func has(r *http.Request, session string) bool {
	c, err := r.Cookie(stack.CookieName)
	return err == nil && c.Value == session
}

// An app of the operator's own.
func ownApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/auth" || !has(r, "alices") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Remote-User", "alice")
}

// Authelia, with rules that ask for two factors below /mdh/ and for one
// elsewhere. The session "alices" has two, "one-factor" one.
func authelia(w http.ResponseWriter, r *http.Request) {
	h := r.Header
	if r.URL.Path != "/api/authz/forward-auth" || h.Get("X-Forwarded-Method") == "" || h.Get("X-Forwarded-Host") == "" || h.Get("X-Forwarded-Proto") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	target, err := url.Parse(h.Get("X-Forwarded-Proto") + "://" + h.Get("X-Forwarded-Host") + h.Get("X-Forwarded-Uri"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	strict := regexp.MustCompile(`^/mdh/`).MatchString(target.Path)
	if has(r, "alices") || has(r, "one-factor") && !strict {
		w.Header().Set("Remote-User", "alice")
		w.Header().Set("Remote-Email", "alice@example.org")
		return
	}
	status := http.StatusSeeOther
	if m := h.Get("X-Forwarded-Method"); m == http.MethodGet || m == http.MethodHead || m == http.MethodOptions {
		status = http.StatusFound
	}
	if h.Get("X-Requested-With") == "XMLHttpRequest" || !strings.Contains(h.Get("Accept"), "*/*") && !strings.Contains(h.Get("Accept"), "text/html") {
		status = http.StatusUnauthorized
	}
	http.Redirect(w, r, "https://auth.example.org/?rd="+url.QueryEscape(target.String()), status)
}

// An outpost of authentik.
func authentik(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/outpost.goauthentik.io/auth/caddy" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if has(r, "alices") {
		w.Header()["X-authentik-username"] = []string{"renamed"} // as it spells them
		w.Header()["X-authentik-uid"] = []string{"alice"}
		return
	}
	w.Header().Set("Set-Cookie", "authentik_proxy_x=state; Path=/; HttpOnly")
	http.Redirect(w, r, "/outpost.goauthentik.io/start?rd=x", http.StatusFound)
}

func tinyauth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path != "/api/auth/caddy" || r.Header.Get("X-Forwarded-Uri") == "":
		w.WriteHeader(http.StatusBadRequest)
	case has(r, "alices"):
		w.Header().Set("Remote-User", "alice")
		w.Header().Set("Remote-Sub", "")
		w.Header().Set("Authorization", r.Header.Get("Authorization")) // it repeats that
		fmt.Fprint(w, `{"status":200,"message":"Authenticated"}`)
	case regexp.MustCompile("Chrome|Gecko|AppleWebKit|Opera|Edge").MatchString(r.UserAgent()):
		http.Redirect(w, r, "https://tinyauth.example.org/login", http.StatusTemporaryRedirect)
	default:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"status":401,"message":"Unauthorized"}`)
	}
}

// authServers are the blocks that ask a server.
var authServers = []struct {
	heading, host string
	answer        http.HandlerFunc
}{
	{"Your own app", "app:3000", ownApp},
	{"Authelia", "authelia:9091", authelia},
	{"authentik", "authentik:9000", authentik},
	{"Tinyauth", "tinyauth:3000", tinyauth},
	{"oauth2-proxy", "oauth2-proxy:4180", func(w http.ResponseWriter, r *http.Request) { // itself in another test
		if r.URL.Path != "/oauth2/auth" || !has(r, "alices") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Auth-Request-User", "alice")
		w.Header().Add("Set-Cookie", "_oauth2_proxy_0=a; Path=/; Expires=Wed, 21 Oct 2065 07:28:00 GMT; HttpOnly")
		w.Header().Add("Set-Cookie", "_oauth2_proxy_1=b; Path=/; HttpOnly")
		w.WriteHeader(http.StatusAccepted)
	}},
}
