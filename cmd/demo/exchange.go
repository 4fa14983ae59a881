// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// message is a request as the page shows it: without the secrets in it.
type message struct {
	Method  string   `json:"method"`
	URI     string   `json:"uri"`
	Headers []header `json:"headers"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// step is one request that Caddy made at the platform.
type step struct {
	What   string `json:"what"`
	Method string `json:"method"`
	URI    string `json:"uri"`
	Status int    `json:"status"`
}

// exchange is one call of the browser and what came of it.
type exchange struct {
	Sent     *message `json:"sent"`
	Steps    []step   `json:"steps"`
	Received *message `json:"received"` // nil: nothing reached the participants' API
}

// exchanges remember the latest call of each session, and of those who are not
// signed in. What the browser sent is known from forward_auth, which asks the
// app with the browser's own headers.
type exchanges struct {
	mu     sync.Mutex
	latest map[string]sentRequest
}

type sentRequest struct {
	at      time.Time
	message message
}

func (e *exchanges) watch(session string, r *http.Request) {
	b := browserRequestOf(r)
	a := sentRequest{at: b.at, message: message{Method: b.method, URI: b.uri, Headers: list(b.header)}}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.latest == nil {
		e.latest = make(map[string]sentRequest)
	}
	e.latest[session] = a
}

// of returns the latest call of a user's session.
func (e *exchanges) of(session, user string, records []simulator.Record) exchange {
	e.mu.Lock()
	a, ok := e.latest[session]
	e.mu.Unlock()
	if !ok {
		return exchange{Steps: []step{}}
	}
	x := exchange{Sent: &a.message, Steps: []step{}}
	for _, r := range records {
		what := kind(r, user)
		if what == "" || r.Time.Before(a.at) {
			continue
		}
		x.Steps = append(x.Steps, step{what, r.Method, r.URI, r.Status})
		if r.Area == "delegated" {
			h := r.Header.Clone()
			h.Set("Host", r.Host)
			x.Received = &message{r.Method, r.URI, list(h)}
		}
	}
	return x
}

// kind tells what a record is, if it is about the user: nobody is shown what
// somebody else is doing at the same time.
func kind(r simulator.Record, user string) string {
	id := participantID(user)
	switch {
	case id == "":
		return ""
	case r.Area == "token" && r.ParticipantID == "":
		return "Service token"
	case r.Area == "token" && r.ParticipantID == id:
		return "Participant token"
	case r.Area == "admin" && strings.HasSuffix(r.URI, "/participants/"+user):
		return "Participant lookup"
	case r.Area == "delegated" && r.ParticipantID == id:
		return "API call"
	default:
		return ""
	}
}

func participantID(user string) string {
	for _, p := range []simulator.Participant{stack.Alice, stack.Bob} {
		if p.Identifier == user {
			return p.ID
		}
	}
	return ""
}

// list sorts headers and shortens what opens something.
func list(h http.Header) []header {
	all := make([]header, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		value := strings.Join(h[name], ", ")
		switch name {
		case "Content-Length":
			continue // forward_auth asks without the body: it would look as if Caddy had added it
		case "Cookie":
			value = eachCookie(value, shorten)
		case "Authorization":
			scheme, secret, _ := strings.Cut(value, " ")
			value = scheme + " " + shorten(secret)
		}
		all = append(all, header{name, value})
	}
	return all
}

// eachCookie has f replace the values of the cookies in a Cookie header.
func eachCookie(header string, f func(secret string) string) string {
	cookies := strings.Split(header, "; ")
	for i, c := range cookies {
		name, secret, _ := strings.Cut(c, "=")
		cookies[i] = name + "=" + f(secret)
	}
	return strings.Join(cookies, "; ")
}

// shorten leaves enough to tell two secrets apart, and too little to use one.
func shorten(secret string) string {
	return secret[:min(6, len(secret)/2)] + "…"
}
