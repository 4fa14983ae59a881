// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestSessionOfTheApp protects users of an app whose sessions only it can
// judge: it is asked, seldom, with nothing but the session; and what it says
// of one is never another's.
func TestSessionOfTheApp(t *testing.T) {
	var asked atomic.Int64
	var down atomic.Bool
	var heard atomic.Pointer[http.Header]
	s := newStack(t)
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h := r.Header.Clone()
		heard.Store(&h)
		_, name := s.App.Session(r)
		switch {
		case down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case name == "":
			http.Redirect(w, r, "/login", http.StatusFound)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"user": map[string]string{"id": name, "email": name + "@example.org"}})
		}
	}))
	session := `
		app_session {
			cookie ` + stack.CookieName + `
			bearer
			session_endpoint http://[[.AppAddr]]/api/me {
				subject user.id
			}
		}`
	load(t, s, `{`+stack.Options+`
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {`+session+`
		delegate_proxy mydatahelps
	}
	handle /logout {`+session+`
		delegate_logout
		reverse_proxy [[.AppAddr]]
	}
}
`)
	alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
	for range 5 {
		for u, id := range map[*user]string{alice: stack.Alice.ID, bob: stack.Bob.ID} {
			req := u.request(http.MethodGet, participantPath, nil)
			req.Header.Set("X-Secret", "not for the app's session endpoint")
			a := u.do(req)
			a.want(t, http.StatusOK, "")
			if !strings.Contains(a.body, id) {
				t.Errorf("somebody else: %s", a.body)
			}
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the app was asked %d times", n)
	}
	for name := range *heard.Load() {
		if name != "Accept" && name != "Cookie" && name != "User-Agent" && name != "Accept-Encoding" {
			t.Errorf("the app was sent %s", name)
		}
	}
	u := signIn(t, s, "nobody")
	u.session = "forged"
	u.get(participantPath).want(t, http.StatusUnauthorized, "session_required")
	bob.do(bob.with(http.MethodGet, participantPath, "Authorization", "Bearer "+bob.session)).want(t, http.StatusOK, "")

	// A logout is known at once, though the answer would count for longer.
	alice.do(alice.request(http.MethodPost, "/logout", nil)).want(t, http.StatusNoContent, "")
	alice.get(participantPath).want(t, http.StatusUnauthorized, "session_required")
	bob.get(participantPath).want(t, http.StatusOK, "")

	down.Store(true)
	late := signIn(t, s, "alice")
	late.get(participantPath).want(t, http.StatusServiceUnavailable, "session_unavailable")
	bob.get(participantPath).want(t, http.StatusOK, "") // is remembered
}
