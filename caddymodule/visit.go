// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// visit is one request to delegate_connect by whoever is signed in.
type visit struct {
	*Connect
	w    http.ResponseWriter
	r    *http.Request
	repl *caddy.Replacer
	who  delegation.Person
}

// choose tells what a request asks for.
func (v *visit) choose() (func() error, error) {
	routes := map[string]map[string]func() error{
		"/start":  {http.MethodPost: v.start},
		"/update": {http.MethodPost: v.update},
		"/status": {http.MethodGet: v.status},
		"/return": {},
		"/":       {http.MethodDelete: v.part},
	}
	methods, ok := routes[v.r.URL.Path]
	if !ok {
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("delegate_connect has no such path: start, update, return, status and callback"))
	}
	serve, ok := methods[v.r.Method]
	if !ok {
		refusal := delegation.Refuse(delegation.MethodNotAllowed, nil)
		for method := range methods {
			refusal.Allow = append(refusal.Allow, method)
		}
		if len(refusal.Allow) == 0 {
			refusal.Allow = []string{http.MethodGet}
		}
		return nil, refusal
	}
	return serve, nil
}

func (v *visit) start() error  { return v.depart(false) }
func (v *visit) update() error { return v.depart(true) }

func (v *visit) depart(update bool) error {
	other, err := v.otherDevice()
	if err != nil {
		return err
	}
	if !v.provider.departures.usual(v.who) {
		// Each is a call of the platform, which counts the operator's.
		refusal := delegation.Refuse(delegation.TooManyRequests, nil)
		refusal.RetryAfter = paceEvery
		return refusal
	}
	before, back := v.tokens() // another tab's journey can be ended as well
	d, err := v.begin(v.r.Context(), delegation.Journey{
		Person: v.who, Update: update, Browser: delegation.NewSecret(before), AnyBrowser: other,
	}, byUser)
	if err != nil {
		return err
	}
	if !other {
		v.keep(join(d.Browser.Reveal(), back))
	}
	return answerJSON(v.w, http.StatusOK, departed(d))
}

// journeyLife is for how long a browser may come back. What the platform has
// told waits for as long.
const journeyLife = 7 * 24 * time.Hour

// journeyCookie ties a journey to its browser. The prefix keeps subdomains
// from setting it. Lax, because the browser comes back from another site.
func journeyCookie(provider string, secure bool) http.Cookie {
	//nolint:gosec // Secure wherever the address is https
	c := http.Cookie{Name: "delegate_" + provider, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

// keep has the browser remember a journey, if there is one.
func (v *visit) keep(value string) {
	if value == "" {
		v.over()
		return
	}
	v.setCookie(value, int(journeyLife.Seconds()))
}

// over has the browser forget it.
func (v *visit) over() { v.setCookie("", -1) }

func (v *visit) setCookie(value string, seconds int) {
	cookie := v.cookie //nolint:gosec // see journeyCookie
	cookie.Value, cookie.MaxAge = value, seconds
	http.SetCookie(v.w, &cookie)
}

// tokens are the journey's, as the browser has them: the one that it set out
// with, and that of the address once it has come back. Not before: whoever has
// both ends the journey, and somebody who sends another to the platform's page
// must not. Two cookies of the name are none.
func (v *visit) tokens() (browser, back string) {
	cookies := v.r.CookiesNamed(v.cookie.Name)
	if len(cookies) != 1 {
		return "", ""
	}
	browser, back, _ = strings.Cut(cookies[0].Value, ".")
	return browser, back
}

// isState tells whether something can be what an address to come back to has:
// it goes into a cookie.
func isState(s string) bool {
	return len(s) <= 128 && s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func join(browser, back string) string {
	if back == "" {
		return browser
	}
	return browser + "." + back
}

// finish ends the journey that the browser is on.
func (v *visit) finish(ctx context.Context, back, browser string) error {
	first, err := v.connector.Arrive(ctx, v.who, back, browser)
	conflict := err != nil && delegation.AsRefusal(err).Code == delegation.AccountConflict
	if err == nil || conflict {
		// Only then: anybody's page can send a browser here with another address.
		// What the browser set out with stays, for what other tabs have begun.
		v.keep(browser)
	}
	switch {
	case conflict:
		v.provider.consent(consentConflict, byUser, v.who)
	case first:
		v.provider.consent(consentConnected, byUser, v.who)
		// Other machines may know that there was none, or another one.
		_ = v.provider.purge(context.WithoutCancel(ctx), delegation.Selection{Realm: v.who.Realm, Subject: v.who.Subject}, false, "connect")
	}
	return err
}

// arrive takes the browser that comes back, and sends it on to the app. The
// address alone ends nothing: the cookie has to fit, and the person.
func (v *visit) arrive() error {
	outcome := string(delegation.ConsentConnected)
	err := v.land()
	switch {
	case errors.Is(err, delegation.ErrPending):
		outcome = string(delegation.ConsentPending) // the page asks for the status
	case err != nil:
		outcome = string(v.account(v.r, err).Code)
	default:
		requestsTotal.WithLabelValues(v.Provider, answered).Inc()
	}
	v.w.Header().Set("Location", v.Then+"?"+url.Values{"connect": {outcome}}.Encode())
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the address has the state
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (v *visit) land() (err error) {
	browser, _ := v.tokens()
	state := v.r.URL.Query()["state"]
	if len(state) != 1 || !isState(state[0]) || browser == "" && v.CrossDevice == 0 {
		state = nil
	}
	if v.who, err = v.person(v.r, v.repl); err != nil {
		if state != nil {
			v.keep(join(browser, state[0])) // the status ends it, for who signs in now
		}
		return err
	}
	if state == nil {
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the browser that came back has not set out"))
	}
	if err = v.finish(v.r.Context(), state[0], browser); errors.Is(err, delegation.ErrPending) {
		v.keep(join(browser, state[0])) // the status ends it
	}
	return err
}

const (
	maxWait   = 25 * time.Second // less than proxies wait for an answer
	waitPause = 500 * time.Millisecond
)

// status tells how it stands, and ends the journey if the platform has told
// after the browser came back.
func (v *visit) status() error {
	seconds, _ := strconv.Atoi(v.r.URL.Query().Get("wait"))
	if seconds > 0 {
		if !v.provider.waits.enter(v.who) {
			seconds = 0
		} else {
			defer v.provider.waits.leave(v.who)
		}
	}
	deadline := time.Now().Add(min(time.Duration(max(seconds, 0))*time.Second, maxWait))
	browser, back := v.tokens()
	under := back != ""
	for {
		if under {
			err := v.finish(v.r.Context(), back, browser)
			under = errors.Is(err, delegation.ErrPending)
			if err != nil && !under && delegation.AsRefusal(err).Code != delegation.ConsentRequired {
				return err
			}
		}
		how, err := v.connector.Consent(v.r.Context(), v.who)
		if err != nil {
			return err
		}
		if how != delegation.ConsentPending || time.Until(deadline) < waitPause {
			return answerJSON(v.w, http.StatusOK, map[string]string{"status": string(how)})
		}
		select {
		case <-v.r.Context().Done():
			return v.r.Context().Err()
		case <-time.After(waitPause):
		}
	}
}

// waits bounds how many requests wait for a journey's end.
type waits struct {
	mu     sync.Mutex
	all    int
	people map[delegation.Person]int
}

const maxWaits, maxWaitsOfOne = 1000, 3

// enter tells whether one more may wait.
func (w *waits) enter(who delegation.Person) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= maxWaits || w.people[who] >= maxWaitsOfOne {
		return false
	}
	if w.people == nil {
		w.people = make(map[delegation.Person]int)
	}
	w.all++
	w.people[who]++
	return true
}

func (w *waits) leave(who delegation.Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.people[who]--; w.people[who] == 0 {
		delete(w.people, who)
	}
}

func (v *visit) part() error {
	if err := v.connector.Part(v.r.Context(), v.who); err != nil {
		return err
	}
	v.over()
	v.provider.consent(consentForgotten, byUser, v.who)
	_ = v.provider.purge(context.WithoutCancel(v.r.Context()), delegation.Selection{Realm: v.who.Realm, Subject: v.who.Subject}, false, "connect")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}
