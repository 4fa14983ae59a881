// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// connectRequest is one request to delegate_connect by whoever is signed in.
type connectRequest struct {
	*Connect
	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	owner delegation.Person
}

// route tells what a request asks for.
func (v *connectRequest) route() (func() error, error) {
	routes := map[string]map[string]func() error{
		"/start":  {http.MethodPost: v.start},
		"/update": {http.MethodPost: v.update},
		"/status": {http.MethodGet: v.status},
		"/return": {},
		"/":       {http.MethodDelete: v.disconnect},
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

func (v *connectRequest) start() error  { return v.startFlow(false) }
func (v *connectRequest) update() error { return v.startFlow(true) }

func (v *connectRequest) startFlow(update bool) error {
	other, err := v.otherDevice()
	if err != nil {
		return err
	}
	if !v.provider.connectLimiter.Allow(v.owner) {
		// Each is a call of the platform, which counts the operator's.
		refusal := delegation.Refuse(delegation.TooManyRequests, nil)
		refusal.RetryAfter = personInterval
		return refusal
	}
	t := v.readCookie() // another tab's journey can be ended as well
	d, err := v.startConsent(v.r.Context(), delegation.ConsentFlow{
		Person: v.owner, Update: update, BrowserToken: delegation.NewSecret(t.browserToken), AnyBrowser: other,
	}, actorUser)
	if err != nil {
		return err
	}
	if !other {
		t.browserToken = d.BrowserToken.Reveal()
		t.addOwn(v.owner, d.State.Reveal())
		t.received = "" // it lives as long as what has just begun
		v.saveCookie(t)
	}
	return writeJSON(v.w, http.StatusOK, startResponse(d))
}

// completeFlow ends a journey that the browser comes back from.
func (v *connectRequest) completeFlow(t *consentCookie, back string) error {
	ctx := v.r.Context()
	first, err := v.connector.CompleteConsent(ctx, delegation.Return{
		Person: v.owner, State: back, BrowserToken: t.browserToken, AnyBrowser: v.CrossDevice > 0,
	})
	if err == nil || first {
		// Only then: it may be another user's who is signed in here at times, and
		// anybody's page can send a browser here with any address.
		t.removeState(back)
	}
	if err != nil && delegation.AsRefusal(err).Code == delegation.ConsentRequired && !errors.Is(err, delegation.ErrPending) && !errors.Is(err, delegation.ErrForeignFlow) {
		t.removeState(back) // there is none, or not any more
	}
	if !first {
		return err
	}
	event := consentConnected
	if err != nil {
		if event = consentRefused; delegation.AsRefusal(err).Code == delegation.AccountConflict {
			event = consentConflict
		}
	}
	v.provider.recordConsent(event, actorUser, v.owner)
	// Other machines may know that there was none, or another one.
	_ = v.provider.purge(delegation.Detach(ctx), delegation.Selection{Realm: v.owner.Realm, Subject: v.owner.Subject}, false, "connect")
	return err
}

// handleReturn takes the browser that comes back, and sends it on to the app. The
// address alone ends nothing: the cookie has to fit, and the person.
func (v *connectRequest) handleReturn() error {
	// Pages come here, and nothing that a page has in it.
	if dest := v.r.Header.Values("Sec-Fetch-Dest"); len(dest) > 0 && !slices.Equal(dest, []string{"document"}) {
		return v.refuse(v.w, v.r, delegation.Refuse(delegation.CrossOrigin, errors.New("it is not a page that comes back")))
	}
	outcome := string(delegation.ConsentConnected)
	err := v.completeReturn()
	switch {
	case errors.Is(err, delegation.ErrPending):
		outcome = string(delegation.ConsentPending) // the page asks for the status
		v.provider.callbacks.recordReturn()
	case err != nil:
		outcome = string(v.recordRefusal(v.r, err).Code)
	default:
		requestsTotal.WithLabelValues(v.Provider, outcomeAnswered).Inc()
	}
	v.w.Header().Set("Location", v.returnPage.WithParameter(connectParameter, outcome))
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the address has the state
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (v *connectRequest) completeReturn() (err error) {
	t := v.readCookie()
	defer func() { v.saveCookie(t) }()
	state := v.r.URL.Query()["state"]
	if len(state) != 1 || !isToken(state[0]) || t.browserToken == "" && v.CrossDevice == 0 {
		state = nil
	}
	if v.owner, err = v.person(v.r, v.repl); err != nil {
		if state != nil {
			v.keepState(t, state[0], v.completeFlow(t, state[0])) // nobody ends none
		}
		return err
	}
	if state == nil {
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the browser that came back has not set out"))
	}
	err = v.completeFlow(t, state[0])
	v.keepState(t, state[0], err)
	return err
}

// keepState has the status end a journey that cannot end now: the platform has
// not told, its owner is not signed in, or the database is away. What there is
// no journey of is not remembered: anybody's page can send a browser here. What
// there is, and this browser has not set out on, takes no place of what it has.
func (v *connectRequest) keepState(t *consentCookie, state string, err error) {
	pending := errors.Is(err, delegation.ErrPending)
	if !pending && !errors.Is(err, delegation.ErrForeignFlow) &&
		(err == nil || delegation.AsRefusal(err).Code != delegation.GrantsUnavailable) {
		return
	}
	if t.markReturned(state) {
		return
	}
	if pending { // whoever is signed in has begun it, perhaps on another device
		t.addOwn(v.owner, state)
		t.markReturned(state)
		return
	}
	t.addPending(state)
}

const (
	maxStatusWait      = 25 * time.Second // less than proxies wait for an answer
	statusPollInterval = 500 * time.Millisecond
)

// status tells how it stands, and ends the journey if the platform has told
// after the browser came back.
func (v *connectRequest) status() error {
	seconds, _ := strconv.Atoi(v.r.URL.Query().Get("wait"))
	if seconds > 0 {
		if !v.provider.waitLimiter.acquire(v.owner) {
			seconds = 0
		} else {
			defer v.provider.waitLimiter.release(v.owner)
		}
	}
	t := v.readCookie()
	how, err := v.awaitStatus(t, time.Now().Add(min(time.Duration(max(seconds, 0))*time.Second, maxStatusWait)))
	v.saveCookie(t)
	if err != nil {
		return err
	}
	return writeJSON(v.w, http.StatusOK, map[string]string{"status": string(how)})
}

func (v *connectRequest) awaitStatus(t *consentCookie, deadline time.Time) (delegation.ConsentStatus, error) {
	under := append(t.returnedStates(v.owner), t.pendingStates...)
	for {
		var still []string
		for _, back := range under {
			err := v.completeFlow(t, back)
			if errors.Is(err, delegation.ErrPending) {
				still = append(still, back)
			} else if err != nil && delegation.AsRefusal(err).Code != delegation.ConsentRequired {
				return "", err
			}
		}
		under = still
		how, err := v.connector.ConsentStatus(v.r.Context(), v.owner)
		if err != nil || how != delegation.ConsentPending || time.Until(deadline) < statusPollInterval {
			return how, err
		}
		select {
		case <-v.r.Context().Done():
			return "", v.r.Context().Err()
		case <-time.After(statusPollInterval):
		}
	}
}

// waitLimiter bounds how many requests wait for a journey's end.
type waitLimiter struct {
	mu        sync.Mutex
	total     int
	perPerson map[delegation.Person]int
}

const maxStatusWaits, maxStatusWaitsPerPerson = 1000, 3

// acquire tells whether one more may wait.
func (w *waitLimiter) acquire(who delegation.Person) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total >= maxStatusWaits || w.perPerson[who] >= maxStatusWaitsPerPerson {
		return false
	}
	if w.perPerson == nil {
		w.perPerson = make(map[delegation.Person]int)
	}
	w.total++
	w.perPerson[who]++
	return true
}

func (w *waitLimiter) release(who delegation.Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total--
	if w.perPerson[who]--; w.perPerson[who] == 0 {
		delete(w.perPerson, who)
	}
}

func (v *connectRequest) disconnect() error {
	if err := v.connector.Disconnect(v.r.Context(), v.owner); err != nil {
		return err
	}
	v.provider.recordConsent(consentDisconnected, actorUser, v.owner)
	_ = v.provider.purge(delegation.Detach(v.r.Context()), delegation.Selection{Realm: v.owner.Realm, Subject: v.owner.Subject}, false, "connect")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}
