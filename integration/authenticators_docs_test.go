// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC36_ListModules protects who checks a build by the line of the page on operations: it shows
// every module of ours.
func TestC36_ListModules(t *testing.T) {
	line := regexp.MustCompile(`list-modules \| grep -E '([^']+)'`).FindStringSubmatch(page(t, operationsPage))
	if line == nil {
		t.Fatal("the page has no such line")
	}
	shown := regexp.MustCompile(line[1])
	ours := 0
	for _, name := range caddy.Modules() {
		info, err := caddy.GetModule(name)
		if err != nil {
			t.Fatal(err)
		}
		kind := reflect.TypeOf(info.New())
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if !strings.HasSuffix(kind.PkgPath(), "caddy-delegate/caddymodule") {
			continue
		}
		ours++
		if !shown.MatchString(name) {
			t.Errorf("%s is not shown", name)
		}
	}
	if ours < 10 {
		t.Errorf("%d modules are ours", ours)
	}
}

// TestC42_BearerFromAnotherSite protects pages of another site where browsers
// block third-party cookies, and apps in a shell: what the docs tell them to do
// instead works. The cookie alone is as if it were not there.
func TestC42_BearerFromAnotherSite(t *testing.T) {
	s, l := newStack(t), newLogin(t)
	load(t, s, l.caddyfile("\n\t\ttrusted_origins https://www.example.net capacitor://localhost"))
	u := signIn(t, s, "nobody")
	u.session = ""
	token := l.session(stack.Alice.Identifier, map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
	for _, origin := range []string{"https://www.example.net", "capacitor://localhost"} {
		from := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
		a := asPage(u, http.MethodOptions, participantPath, "", append(from, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")...)
		if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Headers") != "authorization" {
			t.Errorf("%s: preflight %d %v", origin, a.StatusCode, a.Header)
		}
		a = asPage(u, http.MethodGet, participantPath, "", append(from, "Authorization", "Bearer "+token)...)
		a.want(t, http.StatusOK, "")
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("%s: %q may read the answer", origin, got)
		}
		asPage(u, http.MethodGet, participantPath, "", from...).want(t, http.StatusUnauthorized, "session_required")
	}
}
