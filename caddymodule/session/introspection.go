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

// introspecting says in errors what failed.
const introspecting = "introspecting the session"

// Introspection verifies access tokens by asking their issuer (RFC 7662). It
// implements [Verifier] and calls the issuer each time: see [RemoteVerifier].
type Introspection struct {
	// URL is the introspection endpoint.
	URL string
	// ClientID and ClientSecret authenticate this server, by HTTP Basic.
	ClientID     string
	ClientSecret delegation.Secret
	// Realm is the namespace of the subjects. Empty: `iss` of the answer. An answer
	// without `iss` is then session_unavailable, because its users could not be told
	// from those of other issuers.
	Realm string
	// Issuer is the value that `iss` must have. Empty: any.
	Issuer string
	// Audiences are the values of which AudienceClaim must have one. Empty: any, so
	// that every token of the issuer is accepted, whichever client has got it.
	Audiences []string
	// AudienceClaim is the member, or path, that names whom the token is for, or
	// which client has got it. Empty: `aud`.
	AudienceClaim string
	// TokenType is the value that `token_type` must have, in upper or lower case:
	// some issuers mark refresh tokens by leaving it out. Empty: any, or none.
	TokenType string
	// Header are headers that the operator adds to the request, such as Host: see
	// [CheckHeader].
	Header http.Header
	// Client sends the requests. Its redirect rule and cookie jar are not used.
	Client *http.Client
}

// Settings returns all that a session depends on, but for the client: see
// [JWT.Settings].
func (i *Introspection) Settings() [][]string {
	return [][]string{{"introspect", i.URL, i.ClientID, i.ClientSecret.Reveal(), i.Realm, i.Issuer, i.AudienceClaim, i.TokenType}, i.Audiences, headerSettings(i.Header)}
}

// Verify implements [Verifier].
func (i *Introspection) Verify(ctx context.Context, credential Credential) (*Session, error) {
	res, err := i.call(ctx, credential)
	if err != nil {
		return nil, err
	}
	return i.interpret(res, credential)
}

// call asks the issuer. The error is a refusal.
func (i *Introspection) call(ctx context.Context, credential Credential) (*response, error) {
	req, err := i.newRequest(ctx, credential)
	if err != nil {
		return nil, unavailableAfter(introspecting, err)
	}
	res, err := send(i.Client, req)
	if err != nil {
		return nil, unavailableAfter(introspecting, err)
	}
	return res, nil
}

// interpret returns the session that the issuer's answer vouches for.
func (i *Introspection) interpret(res *response, credential Credential) (*Session, error) {
	switch res.status {
	case http.StatusOK:
		return i.parse(res, credential)
	case http.StatusUnauthorized:
		// Section 2.3: the issuer does not accept this server's own credentials.
		return nil, unavailableAfter(introspecting, &callError{error: res.malformed(errClientRejected), verdictFor: circuit.ServiceFailed})
	case http.StatusBadRequest:
		return nil, interpretBadRequest(res)
	case http.StatusForbidden:
		// Counted against the one credential: a firewall answers the same for a token
		// that it does not like.
		return nil, unavailableAfter(introspecting, res.malformed(errors.New("the issuer does not let this server ask: check client_id and client_secret, and that this client may introspect tokens")))
	default:
		return nil, unavailableAfter(introspecting, res.unexpectedStatus())
	}
}

// newRequest returns the request (section 2.1).
func (i *Introspection) newRequest(ctx context.Context, credential Credential) (*http.Request, error) {
	form := url.Values{"token": {credential.Text}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errInvalidURL
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// The request may be sent twice. This header is not sent: it tells net/http to try
	// again when a connection that was idle turns out to be closed.
	req.Header["Idempotency-Key"] = []string{}
	// RFC 6749 section 2.3.1: both are encoded, so that an ID may hold a colon.
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret.Reveal()))
	applyHeaders(req, i.Header)
	return req, nil
}

// errInvalidURL does not quote the address, which may hold a password.
var errInvalidURL = errors.New("the address to ask at is no URL: mend it")

// parse returns the session of an answer with status 200 (section 2.2).
func (i *Introspection) parse(res *response, credential Credential) (*Session, error) {
	// A page with status 200 is a mistake in the address, and a signed answer
	// (RFC 9701) one that nobody has asked for.
	if kind, _, err := mime.ParseMediaType(res.header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, unavailableAfter(introspecting, res.malformed(errors.New("it is no application/json")))
	}
	d, err := decodeClaims(res.body)
	if err != nil {
		return nil, unavailableAfter(introspecting, res.malformed(err))
	}
	if active, _ := d["active"].(bool); !active {
		return nil, refuseCredential("the issuer says that the session is not active")
	}
	if err := checkTokenUse(d); err != nil {
		if r, ok := errors.AsType[*delegation.Refusal](err); ok {
			return nil, r
		}
		return nil, unavailableAfter(introspecting, res.malformed(err))
	}
	if kind, _ := d["token_type"].(string); i.TokenType != "" && !strings.EqualFold(kind, i.TokenType) {
		return nil, refuseCredential("introspection: token_type is not " + i.TokenType)
	}
	if isNobody(d["sub"]) {
		return nil, refuseCredential("introspection: sub is missing: the token is no user's")
	}
	s := res.newSession(credential, d)
	s.Subject = readClaim(&err, d.subject, "sub")
	s.ID = readClaim(&err, d.text, "sid")
	issuer := readClaim(&err, d.issuer, "iss")
	audiences := readClaim(&err, d.strings, i.audienceClaim())
	s.Expires = readClaim(&err, d.time, "exp")
	notBefore := readClaim(&err, d.time, "nbf")
	if err != nil {
		return nil, unavailableAfter(introspecting, res.malformed(err))
	}
	now := time.Now()
	switch {
	case d["cnf"] != nil:
		return nil, refuseCredential("introspection: the token is bound to a key (cnf), which nobody here asks for")
	case d["events"] != nil:
		return nil, refuseCredential("introspection: the token tells of an event, as logout tokens do")
	case i.Issuer != "" && issuer != i.Issuer:
		return nil, refuseCredential("introspection: iss is another issuer")
	case len(i.Audiences) > 0 && !intersects(audiences, i.Audiences):
		return nil, refuseCredential("introspection: " + i.audienceClaim() + " does not name this audience")
	case now.Before(notBefore.Add(-leeway)):
		return nil, refuseCredential("introspection: the session is not valid yet")
	}
	if s.Realm = i.Realm; s.Realm == "" {
		s.Realm = issuer
	}
	if issuer != s.Realm {
		s.issuer = issuer // whose logout tokens name the user
	}
	if s.Realm == "" {
		return nil, unavailableAfter(introspecting, errors.New("the answer has no iss: give the sessions a realm"))
	}
	return s.applyLeeway(now)
}

// audienceClaim returns the member or path of the audience.
func (i *Introspection) audienceClaim() string {
	if i.AudienceClaim != "" {
		return i.AudienceClaim
	}
	return "aud"
}

// issuer returns a claim that names an issuer; "" if there is none. Unlike a subject it
// may not be a number.
func (d claims) issuer(path string) (string, error) {
	if name, err := d.text(path); name == "" {
		return "", err
	}
	return d.subject(path)
}
