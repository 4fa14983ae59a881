// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// sight is a request of a browser, as forward_auth tells of it, with all its
// secrets. It is not shown.
type sight struct {
	at     time.Time
	method string
	uri    string
	header http.Header
}

func see(r *http.Request) sight {
	h := maps.Clone(r.Header)
	// Caddy's way of telling the app about the browser.
	maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, "X-Forwarded-") || name == "Via" })
	h.Set("Host", r.Host)
	return sight{time.Now(), r.Header.Get("X-Forwarded-Method"), r.Header.Get("X-Forwarded-Uri"), h}
}

// has tells whether something occurs in the request.
func (s sight) has(text string) bool {
	if strings.Contains(s.uri, text) || strings.Contains(s.uri, url.QueryEscape(text)) {
		return true
	}
	for _, values := range s.header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return false
}

// part is a header, a parameter or a field, as the page shows it.
type part struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"` // all but its end is left out
	Unseen bool   `json:"unseen,omitempty"` // the secret was looked for in what the browser sent, and is not there
}

// letter is a request as the page about Mydex shows it.
type letter struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Query   []part `json:"query"`
	Headers []part `json:"headers"`
	Body    string `json:"body,omitempty"`
}

// mydexExchange is one call of the browser and what came of it, and how the
// user's member was connected.
type mydexExchange struct {
	Sent     *letter `json:"sent"`
	Steps    []step  `json:"steps"`
	Received *letter `json:"received"` // nil: Mydex received no call of this user's
	Setup    []part  `json:"setup"`    // what Caddy told Mydex when the journey began
	Callback []part  `json:"callback"` // what Mydex told Caddy when the member had agreed
}

// of returns the latest call of a user's session.
func (c *consented) of(session, user string) mydexExchange {
	x := mydexExchange{Steps: []step{}}
	mine := c.members(user)
	c.mu.Lock()
	s, called := c.latest[session]
	var last journey
	for _, uid := range mine {
		if t := c.trips[uid]; t.back.at.After(last.back.at) {
			last = t
		}
	}
	c.mu.Unlock()
	if last.user == user && user != "" {
		x.Setup, x.Callback = last.show()
	}
	if !called {
		return x
	}
	x.Sent = compose(s.method, s.uri, s.header, "", sight{})
	for _, r := range c.platform.Records() {
		if r.Time.Before(s.at) || user == "" {
			continue
		}
		switch {
		case r.Area == "token":
			x.Steps = append(x.Steps, step{"Service token", r.Method, r.URI, r.Status})
		case r.Role == "pdx" && slices.Contains(mine, named(r)):
			h := r.Header.Clone()
			h.Set("Host", r.Host)
			x.Received = compose(r.Method, r.URI, h, r.Body, s)
			x.Steps = append(x.Steps, step{"API call", r.Method, x.Received.Path, r.Status})
		}
	}
	return x
}

// named is the uid that a call is about, whether it was let in or not.
func named(r mydex.Record) string {
	path, query, _ := strings.Cut(r.URI, "?")
	if values, err := url.ParseQuery(query); err == nil && values.Has("uid") {
		return values.Get("uid")
	}
	return strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".json")
}

// compose leaves out what nobody who looks at the page is to have. Secrets are
// looked for in what the browser sent.
func compose(method, uri string, h http.Header, body string, browser sight) *letter {
	path, query, _ := strings.Cut(uri, "?")
	l := &letter{Method: method, Path: path, Query: []part{}, Headers: []part{}, Body: body}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			continue
		}
		l.Query = append(l.Query, browser.judge(unescape(name), unescape(value)))
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != "Content-Length" { // forward_auth asks without the body
			l.Headers = append(l.Headers, browser.judge(name, strings.Join(h[name], ", ")))
		}
	}
	return l
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// judge masks the value of a header, parameter or field if it is a secret.
func (s sight) judge(name, value string) part {
	p := part{Name: name, Value: value}
	switch strings.ToLower(name) {
	case "key", "connection-token", "authentication", "connection_token_hash", "linking_token", "state":
		p.Value = mask(value)
	case "authorization":
		scheme, secret, _ := strings.Cut(value, " ")
		p.Value, value = scheme+" "+mask(secret), secret
	case "cookie":
		cookies := strings.Split(value, "; ")
		for i, c := range cookies {
			name, secret, _ := strings.Cut(c, "=")
			cookies[i] = name + "=" + mask(secret)
		}
		p.Value = strings.Join(cookies, "; ")
	default:
		return p
	}
	p.Secret, p.Unseen = true, s.header != nil && !s.has(value)
	return p
}

// mask leaves the last four characters: enough to tell two secrets apart.
func mask(secret string) string {
	const dots, end = "••••••••", 4
	if len(secret) < 4*end {
		return dots
	}
	return dots + secret[len(secret)-end:]
}
