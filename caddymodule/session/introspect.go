// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const introspecting = "introspecting the session"

// Introspection asks the issuer of an access token whether it is worth
// anything (RFC 7662). It implements [Verifier] and asks each time: see
// [NewAsked].
type Introspection struct {
	// URL is the introspection endpoint.
	URL string
	// ClientID and ClientSecret are what the issuer knows this server by.
	ClientID     string
	ClientSecret delegation.Secret
	// Realm is the namespace of the subjects. Empty: what the answer's `iss`
	// says, and where it says nothing sessions cannot be told apart from other
	// issuers' and are session_unavailable.
	Realm string
	// Issuer is what `iss` has to be. Empty: it does not matter.
	Issuer string
	// Audiences are those of which `aud` has to name one. Without them every
	// token of the issuer's counts, whichever of its clients has got it.
	Audiences []string
	// Client makes the calls.
	Client *http.Client
}

// Verify implements [Verifier].
func (i *Introspection) Verify(ctx context.Context, credential Credential) (*Session, error) {
	req, err := i.request(ctx, credential)
	if err != nil {
		return nil, doubt(introspecting, err)
	}
	a, err := ask(i.Client, req)
	if err != nil {
		return nil, doubt(introspecting, err)
	}
	switch a.status {
	case http.StatusOK:
		return i.read(a, credential)
	case http.StatusUnauthorized:
		// Section 2.3: it is this server that is not signed in.
		return nil, doubt(introspecting, &failure{
			error: errors.New("the issuer does not accept this server (status 401): check client_id and client_secret"),
			about: blame.Service,
		})
	case http.StatusForbidden:
		// The credential's: a firewall says the same of a token it does not like.
		return nil, doubt(introspecting, errors.New("the issuer does not let this server ask (status 403): check client_id and client_secret, and that this client may introspect tokens"))
	default:
		return nil, doubt(introspecting, a.useless())
	}
}

// request is the question (section 2.1).
func (i *Introspection) request(ctx context.Context, credential Credential) (*http.Request, error) {
	form := url.Values{"token": {credential.Text}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errNoURL
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// It may be asked twice: not sent, and tells net/http to try again when a
	// connection that was idle turns out to be closed.
	req.Header["Idempotency-Key"] = []string{}
	// RFC 6749 section 2.3.1: encoded, so that an ID may hold a colon.
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret.Reveal()))
	return req, nil
}

// errNoURL quotes nothing: an address may hold a password.
var errNoURL = errors.New("the address to ask at is no URL: mend it")

// read checks the answer (section 2.2).
func (i *Introspection) read(a *answer, credential Credential) (*Session, error) {
	// A page with status 200 is a mistake in the address, and a signed answer
	// (RFC 9701) one that nobody has asked for.
	if kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, doubt(introspecting, errors.New("the answer is no application/json"))
	}
	d, err := readDocument(a.body)
	if err != nil {
		return nil, doubt(introspecting, fmt.Errorf("the answer: %w", err))
	}
	if active, _ := d["active"].(bool); !active {
		return nil, refuse("the issuer says that the session is not active")
	}
	s := a.session(credential, d)
	s.Subject = read(&err, d.user, "sub")
	s.ID = read(&err, d.text, "sid")
	issuer := read(&err, d.user, "iss")
	audiences := read(&err, d.strings, "aud")
	s.Expires = read(&err, d.time, "exp")
	notBefore := read(&err, d.time, "nbf")
	if err != nil {
		return nil, doubt(introspecting, fmt.Errorf("the answer: %w", err))
	}
	now := time.Now()
	switch {
	case s.Subject == "":
		return nil, refuse("introspection: sub is missing: the token is no user's")
	case d["cnf"] != nil:
		return nil, refuse("introspection: the token is bound to a key (cnf), which nobody here asks for")
	case i.Issuer != "" && issuer != i.Issuer:
		return nil, refuse("introspection: iss is another issuer")
	case len(i.Audiences) > 0 && !overlap(audiences, i.Audiences):
		return nil, refuse("introspection: aud does not name this audience")
	case now.Before(notBefore.Add(-leeway)):
		return nil, refuse("introspection: the session is not valid yet")
	}
	if s.Realm = i.Realm; s.Realm == "" {
		s.Realm = issuer
	}
	if issuer != s.Realm {
		s.issuer = issuer // by which it tells of logouts
	}
	if s.Realm == "" {
		return nil, doubt(introspecting, errors.New("the answer has no iss: give the sessions a realm"))
	}
	return s.until(now)
}
