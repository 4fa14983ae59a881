// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// productServer is a product's issuer, or the app that uses it.
type productServer struct {
	*httptest.Server
	t      testing.TB
	p      *loginProduct
	logout string // where the app signs out, and whether the request gets there
	ends   bool
	secret string // for HMAC
	next   string // that it signs with after rotate

	mu       sync.Mutex
	key      int // of signingKeys
	sessions map[string]http.HandlerFunc
	asked    int
}

func newProductServer(t testing.TB, p *loginProduct) *productServer {
	t.Helper()
	srv := &productServer{t: t, p: p, sessions: make(map[string]http.HandlerFunc)}
	srv.Server = httptest.NewServer(srv)
	t.Cleanup(srv.Close)
	return srv
}

// ServeHTTP answers for issuer and app. What the product does not have, neither
// has this.
func (srv *productServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.p.signed != nil && srv.p.signed.keys != "" && r.URL.Path == srv.p.signed.keys && r.Method == http.MethodGet:
		srv.writeJSON(w, srv.published())
	case srv.p.asked != nil && r.URL.Path == srv.p.asked.path:
		srv.asked++
		answer, ok := srv.sessions[srv.carried(r)]
		if !ok || srv.p.asked.question != nil && !srv.p.asked.question(r) {
			srv.p.asked.nobody(w)
			return
		}
		answer(w, r)
	case r.URL.Path == srv.logout && r.Method != http.MethodGet:
		delete(srv.sessions, srv.carried(r))
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func (srv *productServer) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		srv.t.Error(err)
	}
}

// carried is the session of a question: that of an introspection stands in its
// body.
func (srv *productServer) carried(r *http.Request) string {
	if token := r.PostFormValue("token"); token != "" {
		return token
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	if c, err := r.Cookie(srv.p.cookie); err == nil {
		return c.Value
	}
	var pieces strings.Builder
	for n := 0; ; n++ {
		c, err := r.Cookie(fmt.Sprintf("%s.%d", srv.p.cookie, n))
		if err != nil {
			return pieces.String()
		}
		pieces.WriteString(c.Value)
	}
}

// session is one of a user, in the form of the product. change may be nil.
func (srv *productServer) session(user any, change func(claims map[string]any)) string {
	srv.t.Helper()
	if srv.p.signed != nil {
		claims := srv.p.signed.claims(user, time.Now())
		if change != nil {
			change(claims)
		}
		return srv.token(claims)
	}
	answer := srv.p.asked.answer(user, time.Now())
	if change != nil {
		change(answer)
	}
	return srv.put(func(w http.ResponseWriter, _ *http.Request) { srv.writeJSON(w, answer) })
}

// put makes a session that is answered about as given.
func (srv *productServer) put(answer http.HandlerFunc) string {
	value := rand.Text()
	if srv.p.asked.value != nil {
		value = srv.p.asked.value(value)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sessions[value] = answer
	return value
}

// revoke ends a session at the issuer.
func (srv *productServer) revoke(value string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, value)
}

// questions is how often it was asked about sessions.
func (srv *productServer) questions() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.asked
}

// other makes what is no session: a text is that credential, a function changes
// the claims of one of the user's sessions, a handler is what is answered about
// one, and a set of claims is signed with a secret of the issuer's own.
func (srv *productServer) other(user, what any) string {
	srv.t.Helper()
	switch what := what.(type) {
	case string:
		return what
	case func(map[string]any):
		return srv.session(user, what)
	case http.HandlerFunc:
		return srv.put(what)
	case func(user any) map[string]any:
		return signedWithSecret(srv.t, strings.Repeat("the issuer's own ", 4), jose.HS512, what(user))
	default:
		srv.t.Fatalf("%T is nothing that a product gives out", what)
		return ""
	}
}
