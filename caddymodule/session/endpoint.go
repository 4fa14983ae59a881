// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const askingEndpoint = "asking the app about the session"

// Endpoint verifies sessions by asking the app itself, at an address where a browser
// learns who its user is. It implements [Verifier] and calls the app each time: see
// [RemoteVerifier].
type Endpoint struct {
	// URL is the address, which answers GET with a JSON object.
	URL string
	// Cookie is the name of the cookie that a session is sent in, if it came in one.
	Cookie string
	// Subject is the path of the user in the answer, such as user.id. Empty: sub.
	Subject string
	// Expires is the path of the session's end in the answer: seconds or milliseconds
	// since 1970, or a date. Empty: it tells no end.
	Expires string
	// Header are headers that the operator adds to the request, such as Host: see
	// [CheckHeader].
	Header http.Header
	// Realm is the namespace of the subjects. Required: no app tells one.
	Realm string
	// Client sends the requests. Its redirect rule and cookie jar are not used.
	Client *http.Client
}

// Settings returns all that a session depends on, but for the client: see
// [JWT.Settings].
func (e *Endpoint) Settings() [][]string {
	return [][]string{{"endpoint", e.URL, e.Cookie, e.Subject, e.Expires, e.Realm}, headerSettings(e.Header)}
}

// Verify implements [Verifier].
func (e *Endpoint) Verify(ctx context.Context, credential Credential) (*Session, error) {
	res, err := e.call(ctx, credential)
	if err != nil {
		return nil, err
	}
	return e.interpret(res, credential)
}

// call asks the app. The error is a refusal.
func (e *Endpoint) call(ctx context.Context, credential Credential) (*response, error) {
	req, err := e.newRequest(ctx, credential)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, err)
	}
	res, err := send(e.Client, req)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, err)
	}
	return res, nil
}

// interpret returns the session that the app's answer vouches for.
func (e *Endpoint) interpret(res *response, credential Credential) (*Session, error) {
	switch res.status {
	case http.StatusOK:
		return e.parse(res, credential)
	case http.StatusNoContent, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, statusPageExpired:
		return nil, refuseCredential(fmt.Sprintf("the app says that nobody is signed in (status %d)", res.status))
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		// Where nobody is signed in, most apps send the browser to their login
		// page. The permanent ones (301, 308) say that the address is wrong.
		return nil, refuseCredential(fmt.Sprintf("the app redirects, as it does where nobody is signed in (status %d)", res.status))
	default:
		return nil, unavailableAfter(askingEndpoint, res.unexpectedStatus())
	}
}

// statusPageExpired is the status by which Laravel answers for a session that has ended.
const statusPageExpired = 419

// newRequest returns the request: the session, and nothing else of what the client
// has sent. Other headers would let the client choose how the app reads the session.
func (e *Endpoint) newRequest(ctx context.Context, credential Credential) (*http.Request, error) {
	if e.Realm == "" {
		return nil, errors.New("its sessions have no realm: give them one")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL, nil)
	if err != nil {
		return nil, errInvalidURL
	}
	req.Header.Set("Accept", "application/json")
	switch {
	case credential.Source == InBearer:
		req.Header.Set("Authorization", "Bearer "+credential.Text)
	case e.Cookie != "":
		req.Header.Set("Cookie", credential.cookieHeader(e.Cookie))
	default:
		return nil, errors.New("the session came by a cookie, and none is to be sent: name it")
	}
	applyHeaders(req, e.Header)
	return req, nil
}

// parse returns the session of an answer with status 200.
func (e *Endpoint) parse(res *response, credential Credential) (*Session, error) {
	switch text := string(bytes.TrimSpace(res.body)); text {
	case "", "null", "false":
		// Auth.js says null, some say nothing at all.
		if text == "" {
			text = "an empty answer"
		}
		return nil, refuseCredential("the app says that nobody is signed in (status 200, " + text + ")")
	}
	d, err := decodeClaims(res.body)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, res.malformed(err))
	}
	path := e.Subject
	if path == "" {
		path = "sub"
	}
	if isNobody(d.value(path)) {
		// Some apps answer {} or {"user":null}.
		return nil, refuseCredential("the app says that nobody is signed in (status 200, no " + path + ")")
	}
	s := res.newSession(credential, d)
	if s.Subject, err = d.subject(path); err != nil {
		return nil, unavailableAfter(askingEndpoint, res.malformed(err))
	}
	if e.Expires != "" {
		if s.Expires, err = d.date(e.Expires); err != nil {
			return nil, unavailableAfter(askingEndpoint, res.malformed(err))
		}
	}
	s.Realm = e.Realm
	return s.applyLeeway(time.Now())
}

// isNobody tells whether a subject's value says that nobody is signed in. 0 does at
// WordPress, Drupal and others, which count their users from 1.
func isNobody(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		return v == "0"
	default:
		return false
	}
}
