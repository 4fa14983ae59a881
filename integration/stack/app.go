// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CookieName is the app's session cookie.
const CookieName = "session"

// App stands for the operator's own app: users sign in to it, and it tells
// Caddy's forward_auth who a request comes from. It knows nothing of the
// platform.
type App struct {
	mux      *http.ServeMux
	mu       sync.Mutex
	sessions map[string]session
	watch    func(session string, r *http.Request)
}

type session struct {
	user string
	ends time.Time // zero: never
}

// NewApp returns an app that nobody is signed in to.
func NewApp() *App {
	a := &App{mux: http.NewServeMux(), sessions: make(map[string]session)}
	a.mux.HandleFunc("POST /login", a.login)
	a.mux.HandleFunc("POST /logout", a.logout)
	a.mux.HandleFunc("/auth", a.auth)
	return a
}

// Handle adds a page to the app.
func (a *App) Handle(pattern string, h http.Handler) { a.mux.Handle(pattern, h) }

func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// SignIn opens a session for a user and returns its secret, which goes in the
// cookie or, for native apps, in the Authorization header. ends may be zero.
func (a *App) SignIn(user string, ends time.Time) string {
	id := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[id] = session{user, ends}
	return id
}

// SignOut ends a session.
func (a *App) SignOut(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, id)
}

// Session tells whose session a request carries; both are empty if none.
func (a *App) Session(r *http.Request) (id, user string) {
	id, s, ok := a.find(r)
	if !ok {
		return "", ""
	}
	return id, s.user
}

// Watch calls f with everything that forward_auth asks about. The session is
// empty if nobody is signed in. f must not keep the request.
func (a *App) Watch(f func(session string, r *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watch = f
}

func (a *App) find(r *http.Request) (id string, s session, ok bool) {
	if c, err := r.Cookie(CookieName); err == nil {
		id = c.Value
	} else {
		id, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok = a.sessions[id]
	return id, s, ok && (s.ends.IsZero() || time.Now().Before(s.ends))
}

// auth is what forward_auth asks: 200 with the user's name, or 401.
func (a *App) auth(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	watch := a.watch
	a.mu.Unlock()
	if watch != nil {
		id, _ := a.Session(r)
		watch(id, r)
	}
	_, s, ok := a.find(r)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Remote-User", s.user)
	if !s.ends.IsZero() {
		w.Header().Set("Session-Expires", strconv.FormatInt(s.ends.Unix(), 10))
	}
}

// login signs in as whoever the form names: this app has no passwords.
func (a *App) login(w http.ResponseWriter, r *http.Request) {
	user := r.FormValue("user")
	if user == "" {
		http.Error(w, "user is missing", http.StatusBadRequest)
		return
	}
	a.setCookie(w, a.SignIn(user, time.Time{}), 0)
	w.WriteHeader(http.StatusNoContent)
}

func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	if id, _, ok := a.find(r); ok {
		a.SignOut(id)
	}
	a.setCookie(w, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func (a *App) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
