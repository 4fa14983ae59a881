// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
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
	// Audiences are those of which AudienceClaim has to name one. Without them
	// every token of the issuer's counts, whichever of its clients has got it.
	Audiences []string
	// AudienceClaim is where the answer names whom the token is for, or which
	// client has got it. Empty: `aud`.
	AudienceClaim string
	// TokenType is what `token_type` has to be, in upper or lower case: an issuer
	// may tell refresh tokens by leaving it out. Empty: it may be missing.
	TokenType string
	// Header are headers of the question that the operator has chosen, such as
	// Host: see [CheckHeader].
	Header http.Header
	// Client makes the calls.
	Client *http.Client
}

// Verify implements [Verifier].
func (i *Introspection) Verify(ctx context.Context, credential Credential) (*Session, error) {
	a, err := i.call(ctx, credential)
	if err != nil {
		return nil, err
	}
	return i.interpret(a, credential)
}

func (i *Introspection) call(ctx context.Context, credential Credential) (*response, error) {
	req, err := i.newRequest(ctx, credential)
	if err != nil {
		return nil, unavailableAfter(introspecting, err)
	}
	a, err := send(i.Client, req)
	if err != nil {
		return nil, unavailableAfter(introspecting, err)
	}
	return a, nil
}

func (i *Introspection) interpret(a *response, credential Credential) (*Session, error) {
	switch a.status {
	case http.StatusOK:
		return i.parse(a, credential)
	case http.StatusUnauthorized:
		// Section 2.3: it is this server that is not signed in.
		return nil, unavailableAfter(introspecting, &callError{error: a.malformed(errClientRejected), verdictFor: circuit.ServiceFailed})
	case http.StatusBadRequest:
		return nil, interpretBadRequest(a)
	case http.StatusForbidden:
		// The credential's: a firewall says the same of a token it does not like.
		return nil, unavailableAfter(introspecting, a.malformed(errors.New("the issuer does not let this server ask: check client_id and client_secret, and that this client may introspect tokens")))
	default:
		return nil, unavailableAfter(introspecting, a.unexpectedStatus())
	}
}

// interpretBadRequest is the error for an answer with status 400. What it says of the token
// anybody can cause, by sending one that the issuer does not introspect.
func interpretBadRequest(a *response) error {
	switch code := oauthErrorCode(a.body); {
	case isTokenError(code):
		return refuse("the issuer does not take it for a token that it can judge (status 400, " + code + ")")
	case isClientError(code):
		return unavailableAfter(introspecting, &callError{error: a.malformed(errClientRejected), verdictFor: circuit.ServiceFailed})
	default:
		return unavailableAfter(introspecting, a.unexpectedStatus())
	}
}

// newRequest is the question (section 2.1).
func (i *Introspection) newRequest(ctx context.Context, credential Credential) (*http.Request, error) {
	form := url.Values{"token": {credential.Text}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errInvalidURL
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// It may be asked twice: not sent, and tells net/http to try again when a
	// connection that was idle turns out to be closed.
	req.Header["Idempotency-Key"] = []string{}
	// RFC 6749 section 2.3.1: encoded, so that an ID may hold a colon.
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret.Reveal()))
	applyHeaders(req, i.Header)
	return req, nil
}

// errInvalidURL quotes nothing: an address may hold a password.
var errInvalidURL = errors.New("the address to ask at is no URL: mend it")

// parse checks the answer (section 2.2).
func (i *Introspection) parse(a *response, credential Credential) (*Session, error) {
	// A page with status 200 is a mistake in the address, and a signed answer
	// (RFC 9701) one that nobody has asked for.
	if kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, unavailableAfter(introspecting, a.malformed(errors.New("it is no application/json")))
	}
	d, err := decodeClaims(a.body)
	if err != nil {
		return nil, unavailableAfter(introspecting, a.malformed(err))
	}
	if active, _ := d["active"].(bool); !active {
		return nil, refuse("the issuer says that the session is not active")
	}
	if err := checkTokenUse(d); err != nil {
		if r, ok := errors.AsType[*delegation.Refusal](err); ok {
			return nil, r
		}
		return nil, unavailableAfter(introspecting, a.malformed(err))
	}
	if kind, _ := d["token_type"].(string); i.TokenType != "" && !strings.EqualFold(kind, i.TokenType) {
		return nil, refuse("introspection: token_type is not " + i.TokenType)
	}
	if isNobody(d["sub"]) {
		return nil, refuse("introspection: sub is missing: the token is no user's")
	}
	s := a.newSession(credential, d)
	s.Subject = readClaim(&err, d.subject, "sub")
	s.ID = readClaim(&err, d.text, "sid")
	issuer := readClaim(&err, d.issuer, "iss")
	audiences := readClaim(&err, d.strings, i.audienceClaim())
	s.Expires = readClaim(&err, d.time, "exp")
	notBefore := readClaim(&err, d.time, "nbf")
	if err != nil {
		return nil, unavailableAfter(introspecting, a.malformed(err))
	}
	now := time.Now()
	switch {
	case d["cnf"] != nil:
		return nil, refuse("introspection: the token is bound to a key (cnf), which nobody here asks for")
	case d["events"] != nil:
		return nil, refuse("introspection: the token tells of an event, as logout tokens do")
	case i.Issuer != "" && issuer != i.Issuer:
		return nil, refuse("introspection: iss is another issuer")
	case len(i.Audiences) > 0 && !intersects(audiences, i.Audiences):
		return nil, refuse("introspection: " + i.audienceClaim() + " does not name this audience")
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
		return nil, unavailableAfter(introspecting, errors.New("the answer has no iss: give the sessions a realm"))
	}
	return s.applyLeeway(now)
}

func (i *Introspection) audienceClaim() string {
	if i.AudienceClaim != "" {
		return i.AudienceClaim
	}
	return "aud"
}

// issuer returns an issuer's name; "" if there is none. Unlike a subject it is no
// number.
func (d claims) issuer(path string) (string, error) {
	if name, err := d.text(path); name == "" {
		return "", err
	}
	return d.subject(path)
}
