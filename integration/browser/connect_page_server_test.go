// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connectpage"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// hostileTitle is that of a source whose catalogue nobody has looked at.
const hostileTitle = "</h2><script>window.hostile=1</script><img src=x onerror=window.hostile=2> \u202eLab"

// pageSources are the sources of the Connect page under test.
var pageSources = []connectpage.Source{
	{Name: "city_lab", Title: "City lab", HasLogo: true},
	{Name: "ring", Title: "Ring & Sleep"},
	{Name: "st_mary", Title: "St. Mary’s Hospital for Rehabilitation and Rheumatology, outpatient record"},
	{Name: "hostile", Title: hostileTitle, HasLogo: true},
	{Name: "band", Title: "Old band", State: connectpage.StateEnded},
}

const pageLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 44"><circle cx="22" cy="22" r="18" fill="#0a7d6c"/></svg>`

// pageServer plays delegate_connect for a page of sources, and the app. Each user is
// a person of their own; "new" begins with nothing, "full" has a source of each state.
type pageServer struct {
	vendorURL string
	example   string // the page of the docs
	mu        sync.Mutex
	states    map[string]connectpage.State // by user and source
	changed   chan struct{}                // closed at a change
}

func newPageServer() *pageServer {
	return &pageServer{states: make(map[string]connectpage.State), changed: make(chan struct{})}
}

func (s *pageServer) set(user, source string, state connectpage.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[user+" "+source] = state
	close(s.changed)
	s.changed = make(chan struct{})
}

// sources returns the sources as they are for a user, and when that changes.
func (s *pageServer) sources(user string) ([]connectpage.Source, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := map[string]connectpage.State{"ring": connectpage.StatePending, "st_mary": connectpage.StateUpdate, "city_lab": connectpage.StateConnected, "hostile": connectpage.StateConnected}
	all := slices.Clone(pageSources)
	for i := range all {
		source := &all[i]
		if source.State == connectpage.StateEnded {
			continue
		}
		if source.State = connectpage.StateNone; strings.HasPrefix(user, "full") {
			source.State = full[source.Name]
		}
		if state, ok := s.states[user+" "+source.Name]; ok {
			source.State = state
		}
		source.Actions = []connectpage.Action{connectpage.ActionConnect}
		switch source.State {
		case connectpage.StateConnected:
			source.Account = user + "@" + source.Name + ".example"
			source.Actions = []connectpage.Action{connectpage.ActionDisconnect}
			if source.Partial = source.Name == "city_lab" && strings.HasPrefix(user, "full"); source.Partial {
				source.Actions = []connectpage.Action{connectpage.ActionUpdate, connectpage.ActionDisconnect}
			}
		case connectpage.StateUpdate:
			source.Actions = []connectpage.Action{connectpage.ActionUpdate, connectpage.ActionDisconnect}
		}
	}
	return all, s.changed
}

func (s *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/connect")
	if !ok {
		s.serveApp(w, r)
		return
	}
	headers.SetOwnHeaders(w.Header())
	if connectpage.ServeAsset(w, r, path) {
		return
	}
	user := ""
	if cookie, err := r.Cookie("user"); err == nil {
		user = cookie.Value
	}
	site := connectpage.Site{Path: "/connect", Operator: "Heart Study", Done: "/app?done", SignIn: "/sign-in"}
	write := func(status int, page connectpage.Page) {
		if err := connectpage.Write(w, r, status, page); err != nil {
			panic(err)
		}
	}
	_, endpoint, _ := strings.Cut(path, "/")
	endpoint, name, _ := strings.Cut(endpoint, "/")
	title := ""
	for _, source := range pageSources {
		if source.Name == name || source.Name == r.URL.Query().Get("source") {
			title = source.Title
		}
	}
	switch {
	case endpoint == "logo":
		connectpage.ServeLogo(w, r, []byte(pageLogo), "image/svg+xml")
	case user == "" && endpoint == "status":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"code":"session_required","message":"Sign in and try again."}`)
	case user == "":
		write(http.StatusUnauthorized, &connectpage.ErrorPage{Site: site, Outcome: connectpage.Outcome{Code: "session_required"}})
	case r.Method == http.MethodPost && r.Header.Get("Origin") != "http://"+r.Host:
		write(http.StatusForbidden, &connectpage.ErrorPage{Site: site, Outcome: connectpage.Outcome{Code: "cross_origin"}})
	case endpoint == "" && r.Method == http.MethodGet:
		all, _ := s.sources(user)
		write(http.StatusOK, &connectpage.SourcesPage{Site: site, User: user + "@study.example", Sources: all, Outcome: connectpage.Outcome{Code: r.URL.Query().Get("connect"), Title: title}})
	case (endpoint == "start" || endpoint == "update") && r.Method == http.MethodPost:
		s.set(user, name, connectpage.StatePending)
		back := url.Values{"return": {"http://" + r.Host + "/connect/return/" + name}}
		write(http.StatusOK, &connectpage.ContinuePage{Site: site, User: user + "@study.example", Title: title, URL: s.vendorURL + "/authorize?" + back.Encode(), Back: "/connect/"})
	case endpoint == "return":
		state, code := connectpage.StateConnected, "connected"
		if r.URL.Query().Get("error") != "" {
			state, code = connectpage.StateNone, "consent_denied"
		}
		s.set(user, name, state)
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, "/connect/?connect="+code+"&source="+name, http.StatusSeeOther)
	case endpoint == "disconnect" && r.Method == http.MethodPost:
		s.set(user, name, connectpage.StateNone)
		http.Redirect(w, r, "/connect/?connect=none&source="+name, http.StatusSeeOther)
	case endpoint == "status":
		s.serveStatus(w, r, user)
	default:
		write(http.StatusForbidden, &connectpage.ErrorPage{Site: site, Outcome: connectpage.Outcome{Code: "route_denied"}})
	}
}

// serveStatus answers GET /status, with ?wait once no flow is under way.
func (s *pageServer) serveStatus(w http.ResponseWriter, r *http.Request, user string) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	deadline := time.After(time.Duration(seconds) * time.Second)
	for {
		all, changed := s.sources(user)
		status := connectpage.StateNone
		bySource := make(map[string]any)
		for _, source := range all {
			bySource[source.Name] = map[string]any{"status": source.State, "account": source.Account, "actions": source.Actions}
			if source.State == connectpage.StatePending || source.State == connectpage.StateConnected && status == connectpage.StateNone {
				status = source.State
			}
		}
		if status == connectpage.StatePending && seconds > 0 {
			select {
			case <-changed:
				continue
			case <-r.Context().Done():
				return
			case <-deadline:
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "sources": bySource})
		return
	}
}

const pageApp = `<!doctype html><html lang="en"><title>app</title><h1>The app</h1><button id="connect">Connect</button>
<script src="/connect/connect.js"></script><script src="/app.js"></script>`

const pageAppScript = `window.ends = []
document.getElementById('connect').onclick = () => DelegateConnect.open({
	onFinish: (end) => window.ends.push(['finish', end.status, end.sources]),
	onClose: () => window.ends.push(['close']),
	onError: (error) => window.ends.push(['error', error.code, error instanceof Error]),
})`

// serveApp serves the app: its page, a page that would frame ours, and what a user
// has uploaded.
func (s *pageServer) serveApp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	switch r.URL.Path {
	case "/app":
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		_, _ = fmt.Fprint(w, pageApp)
	case "/app.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, pageAppScript)
	case "/example":
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		_, _ = fmt.Fprint(w, s.example)
	case "/framing":
		_, _ = fmt.Fprint(w, `<!doctype html><title>framing</title><iframe src="/connect/"></iframe>`)
	case "/uploads/evil.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, "window.hostile = 3")
	case "/end": // a flow is over without its browser, such as by its lifetime
		s.set(r.FormValue("user"), r.FormValue("source"), connectpage.StateNone)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, "<!doctype html><title>not found</title>") // else the browser has a page of its own
	}
}

// servePageVendor plays a vendor's page. It shows which page had linked to it.
func servePageVendor(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	back := r.FormValue("return")
	_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>vendor</title><p id="referer">%s</p><a id="allow" href="%[2]s?code=1&amp;state=1">Allow</a> <a id="deny" href="%[2]s?error=access_denied&amp;state=1">Deny</a>`, r.Referer(), back) // #nosec G705 -- the test's own addresses
}
