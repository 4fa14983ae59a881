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
	t := v.trail() // another tab's journey can be ended as well
	d, err := v.begin(v.r.Context(), delegation.Journey{
		Person: v.who, Update: update, Browser: delegation.NewSecret(t.browser), AnyBrowser: other,
	}, byUser)
	if err != nil {
		return err
	}
	if !other {
		t.browser = d.Browser.Reveal()
		t.setOut(v.who, d.Back.Reveal())
		t.saved = "" // it lives as long as what has just begun
		v.save(t)
	}
	return answerJSON(v.w, http.StatusOK, departed(d))
}

// finish ends a journey that the browser comes back from.
func (v *visit) finish(t *trail, back string) error {
	ctx := v.r.Context()
	first, err := v.connector.Arrive(ctx, delegation.Arrival{
		Person: v.who, Back: back, Browser: t.browser, AnyBrowser: v.CrossDevice > 0,
	})
	if err == nil || first {
		// Only then: it may be another user's who is signed in here at times, and
		// anybody's page can send a browser here with any address.
		t.drop(back)
	}
	if err != nil && delegation.AsRefusal(err).Code == delegation.ConsentRequired && !errors.Is(err, delegation.ErrPending) && !errors.Is(err, delegation.ErrElsewhere) {
		t.drop(back) // there is none, or not any more
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
	v.provider.consent(event, byUser, v.who)
	// Other machines may know that there was none, or another one.
	_ = v.provider.purge(delegation.Detach(ctx), delegation.Selection{Realm: v.who.Realm, Subject: v.who.Subject}, false, "connect")
	return err
}

// arrive takes the browser that comes back, and sends it on to the app. The
// address alone ends nothing: the cookie has to fit, and the person.
func (v *visit) arrive() error {
	// Pages come here, and nothing that a page has in it.
	if dest := v.r.Header.Values("Sec-Fetch-Dest"); len(dest) > 0 && !slices.Equal(dest, []string{"document"}) {
		return v.refuse(v.w, v.r, delegation.Refuse(delegation.CrossOrigin, errors.New("it is not a page that comes back")))
	}
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
	v.w.Header().Set("Location", v.page.With(connectParameter, outcome))
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the address has the state
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (v *visit) land() (err error) {
	t := v.trail()
	defer func() { v.save(t) }()
	state := v.r.URL.Query()["state"]
	if len(state) != 1 || !isToken(state[0]) || t.browser == "" && v.CrossDevice == 0 {
		state = nil
	}
	if v.who, err = v.person(v.r, v.repl); err != nil {
		if state != nil {
			v.remember(t, state[0], v.finish(t, state[0])) // nobody ends none
		}
		return err
	}
	if state == nil {
		return delegation.Refuse(delegation.ConsentRequired, errors.New("the browser that came back has not set out"))
	}
	err = v.finish(t, state[0])
	v.remember(t, state[0], err)
	return err
}

// remember has the status end a journey that cannot end now: the platform has
// not told, its owner is not signed in, or the database is away. What there is
// no journey of is not remembered: anybody's page can send a browser here. What
// there is, and this browser has not set out on, takes no place of what it has.
func (v *visit) remember(t *trail, state string, err error) {
	pending := errors.Is(err, delegation.ErrPending)
	if !pending && !errors.Is(err, delegation.ErrElsewhere) &&
		(err == nil || delegation.AsRefusal(err).Code != delegation.GrantsUnavailable) {
		return
	}
	if t.cameBack(state) {
		return
	}
	if pending { // whoever is signed in has begun it, perhaps on another device
		t.setOut(v.who, state)
		t.cameBack(state)
		return
	}
	t.add(state)
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
	t := v.trail()
	how, err := v.await(t, time.Now().Add(min(time.Duration(max(seconds, 0))*time.Second, maxWait)))
	v.save(t)
	if err != nil {
		return err
	}
	return answerJSON(v.w, http.StatusOK, map[string]string{"status": string(how)})
}

func (v *visit) await(t *trail, deadline time.Time) (delegation.Consent, error) {
	under := append(t.ownBacks(v.who), t.backs...)
	for {
		var still []string
		for _, back := range under {
			err := v.finish(t, back)
			if errors.Is(err, delegation.ErrPending) {
				still = append(still, back)
			} else if err != nil && delegation.AsRefusal(err).Code != delegation.ConsentRequired {
				return "", err
			}
		}
		under = still
		how, err := v.connector.Consent(v.r.Context(), v.who)
		if err != nil || how != delegation.ConsentPending || time.Until(deadline) < waitPause {
			return how, err
		}
		select {
		case <-v.r.Context().Done():
			return "", v.r.Context().Err()
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
	v.provider.consent(consentForgotten, byUser, v.who)
	_ = v.provider.purge(delegation.Detach(v.r.Context()), delegation.Selection{Realm: v.who.Realm, Subject: v.who.Subject}, false, "connect")
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}
