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

// Endpoint asks the app itself who is signed in, at an address that tells a
// browser who its user is. It implements [Verifier] and asks each time: see
// [NewAsked].
type Endpoint struct {
	// URL is the address.
	URL string
	// Cookie is the cookie's name that the session is sent by, where it came
	// by one.
	Cookie string
	// Subject is where the answer names the user, such as user.id. Default: sub.
	Subject string
	// Expires is where it says when the session ends: seconds or milliseconds
	// since 1970, or a date. Empty: it does not.
	Expires string
	// Header are headers of the question that the operator has chosen, such as
	// Host: see [CheckHeader].
	Header http.Header
	// Realm is the namespace of the subjects. It has to be given: no app says.
	Realm string
	// Client makes the calls.
	Client *http.Client
}

// Verify implements [Verifier].
func (e *Endpoint) Verify(ctx context.Context, credential Credential) (*Session, error) {
	a, err := e.call(ctx, credential)
	if err != nil {
		return nil, err
	}
	return e.interpret(a, credential)
}

func (e *Endpoint) call(ctx context.Context, credential Credential) (*response, error) {
	req, err := e.newRequest(ctx, credential)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, err)
	}
	a, err := send(e.Client, req)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, err)
	}
	return a, nil
}

func (e *Endpoint) interpret(a *response, credential Credential) (*Session, error) {
	switch a.status {
	case http.StatusOK:
		return e.parse(a, credential)
	case http.StatusNoContent, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, statusPageExpired:
		return nil, refuse(fmt.Sprintf("the app says that nobody is signed in (status %d)", a.status))
	case http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		// Where nobody is signed in, most apps send the browser to their login
		// page. The permanent ones (301, 308) say that the address is wrong.
		return nil, refuse(fmt.Sprintf("the app redirects, as it does where nobody is signed in (status %d)", a.status))
	default:
		return nil, unavailableAfter(askingEndpoint, a.unexpectedStatus())
	}
}

// statusPageExpired is Laravel's for a session that has ended.
const statusPageExpired = 419

// newRequest is the question: the session and nothing else of what the client has
// sent. Other headers would let it choose how the app reads the session.
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

func (e *Endpoint) parse(a *response, credential Credential) (*Session, error) {
	switch text := string(bytes.TrimSpace(a.body)); text {
	case "", "null", "false":
		// Auth.js says null, some say nothing at all.
		if text == "" {
			text = "an empty answer"
		}
		return nil, refuse("the app says that nobody is signed in (status 200, " + text + ")")
	}
	d, err := decodeClaims(a.body)
	if err != nil {
		return nil, unavailableAfter(askingEndpoint, a.malformed(err))
	}
	path := e.Subject
	if path == "" {
		path = "sub"
	}
	if isNobody(d.value(path)) {
		// As of an app that answers {} or {"user":null}.
		return nil, refuse("the app says that nobody is signed in (status 200, no " + path + ")")
	}
	s := a.newSession(credential, d)
	if s.Subject, err = d.subject(path); err != nil {
		return nil, unavailableAfter(askingEndpoint, a.malformed(err))
	}
	if e.Expires != "" {
		if s.Expires, err = d.date(e.Expires); err != nil {
			return nil, unavailableAfter(askingEndpoint, a.malformed(err))
		}
	}
	s.Realm = e.Realm
	return s.applyLeeway(time.Now())
}

// isNobody tells whether what stands in a subject's place says that nobody is signed
// in. 0 does at WordPress, Drupal and others, whose users count from 1.
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
