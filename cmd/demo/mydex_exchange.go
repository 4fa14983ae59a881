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

// browserRequest is a request of a browser, as forward_auth tells of it, with all its
// secrets. It is not shown.
type browserRequest struct {
	at     time.Time
	method string
	uri    string
	header http.Header
	body   string // if it is known: forward_auth does not tell it
}

func browserRequestOf(r *http.Request) browserRequest {
	h := maps.Clone(r.Header)
	// Caddy's way of telling the app about the browser.
	maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, "X-Forwarded-") || name == "Via" })
	h.Set("Host", r.Host)
	return browserRequest{at: time.Now(), method: r.Header.Get("X-Forwarded-Method"), uri: r.Header.Get("X-Forwarded-Uri"), header: h}
}

// contains tells whether something occurs in the request.
func (s browserRequest) contains(text string) bool {
	if strings.Contains(s.uri, text) || strings.Contains(s.body, text) || strings.Contains(s.uri, url.QueryEscape(text)) {
		return true
	}
	for _, values := range s.header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return false
}

// field is a header, a parameter or a field, as the page shows it.
type field struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"` // all but its end is left out
	Unseen bool   `json:"unseen,omitempty"` // the secret was looked for in what the browser sent, and is not there
}

// shownRequest is a request as the pages show it, except that about MyDataHelps.
type shownRequest struct {
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Query   []field `json:"query"`
	Headers []field `json:"headers"`
	Body    string  `json:"body,omitempty"`
}

// mydexExchange is one call of the browser and what came of it, and how the
// user's member was connected.
type mydexExchange struct {
	Sent     *shownRequest `json:"sent"`
	Steps    []step        `json:"steps"`
	Received *shownRequest `json:"received"` // nil: Mydex received no call of this user's
	Setup    []field       `json:"setup"`    // what Caddy told Mydex when the connect flow began
	Callback []field       `json:"callback"` // what Mydex told Caddy when the member had agreed
}

// of returns the latest call of a user's session.
func (c *mydexPlatform) of(session, user string) mydexExchange {
	x := mydexExchange{Steps: []step{}}
	mine := c.members(user)
	c.mu.Lock()
	s, called := c.latest[session]
	var last connectFlow
	for _, uid := range mine {
		if t := c.flows[uid]; t.back.at.After(last.back.at) {
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
	x.Sent = shownRequestOf(s.method, s.uri, s.header, "", browserRequest{})
	for _, r := range c.platform.Records() {
		if r.Time.Before(s.at) || user == "" {
			continue
		}
		switch {
		case r.Area == "token":
			x.Steps = append(x.Steps, step{"Service token", r.Method, r.URI, r.Status})
		case r.Role == "pdx" && slices.Contains(mine, memberUID(r)):
			h := r.Header.Clone()
			h.Set("Host", r.Host)
			x.Received = shownRequestOf(r.Method, r.URI, h, r.Body, s)
			x.Steps = append(x.Steps, step{"API call", r.Method, x.Received.Path, r.Status})
		}
	}
	return x
}

// memberUID is the uid that a call is about, whether it was let in or not.
func memberUID(r mydex.Record) string {
	path, query, _ := strings.Cut(r.URI, "?")
	if values, err := url.ParseQuery(query); err == nil && values.Has("uid") {
		return values.Get("uid")
	}
	return strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".json")
}

// shownRequestOf leaves out what nobody who looks at the page is to have. Secrets are
// looked for in what the browser sent.
func shownRequestOf(method, uri string, h http.Header, body string, browser browserRequest) *shownRequest {
	path, query, _ := strings.Cut(uri, "?")
	l := &shownRequest{Method: method, Path: path, Query: []field{}, Headers: []field{}, Body: body}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			continue
		}
		l.Query = append(l.Query, browser.shownField(unescape(name), unescape(value)))
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != "Content-Length" { // forward_auth asks without the body
			l.Headers = append(l.Headers, browser.shownField(name, strings.Join(h[name], ", ")))
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

// shownField masks the value of a header, parameter or field if it is a secret.
func (s browserRequest) shownField(name, value string) field {
	p := field{Name: name, Value: value}
	switch strings.ToLower(name) {
	case "key", "connection-token", "authentication", "connection_token_hash", "linking_token", "state", "clientsecret", "accesstoken",
		"client_secret", "code", "code_verifier", "oauth_signature", "oauth_token", "oauth_verifier", "access_token", "refresh_token":
		p.Value = mask(value)
	case "authorization":
		scheme, secret, _ := strings.Cut(value, " ")
		for _, m := range oauthParameters(value) {
			if m[0] == "oauth_signature" { // the rest of them tells nothing
				secret = m[1]
			}
		}
		p.Value, value = scheme+" "+mask(secret), secret
	case "cookie":
		p.Value = eachCookie(value, mask)
	default:
		return p
	}
	p.Secret, p.Unseen = true, s.header != nil && !s.contains(value)
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
