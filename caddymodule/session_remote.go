// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// Introspect verifies access tokens by asking their issuer (RFC 7662).
type Introspect struct {
	// URL is the introspection endpoint: https, or http on loopback or with
	// insecure_http. Required.
	// Accepts {env.*} and {file.*}.
	URL string `json:"url,omitempty"`

	// ClientID and ClientSecret authenticate this server at the issuer, by HTTP Basic.
	// Required. Accept {env.*} and {file.*}; a secret written here in clear shows in the
	// config API.
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`

	// Issuer is the value that `iss` of the answer must have. Default: any. Accepts
	// {env.*} and {file.*}.
	Issuer string `json:"issuer,omitempty"`

	// Audiences are the values of which the audience claim of the answer must have one.
	// Required, or AnyAudience. Accept {env.*} and {file.*}.
	Audiences []string `json:"audiences,omitempty"`

	// AudienceClaim is the member of the answer that Audiences are compared with, such as
	// `client_id`: which client has got the token. Default: `aud`.
	AudienceClaim string `json:"audience_claim,omitempty"`

	// TokenType is the value that `token_type` of the answer must have, in upper or lower
	// case, such as `Bearer`: for issuers that mark refresh tokens by leaving it out.
	// Default: any, or none.
	TokenType string `json:"token_type,omitempty"`

	// AnyAudience accepts every token of the issuer, whichever app has got it. Default:
	// no.
	AnyAudience bool `json:"any_audience,omitempty"`

	// Headers are added to the request, such as `Host` for a proxy in front of the
	// issuer. Values accept {env.*} and {file.*}. Default: none.
	Headers map[string]string `json:"headers,omitempty"`

	// Cache is how long an answer is used: no longer than the session, and 10m at most.
	// 0 asks for each request. Default: `30s`.
	Cache *caddy.Duration `json:"cache,omitempty"`
}

// SessionEndpoint verifies sessions by asking the app itself who is signed in, with
// nothing of the request but the session. 204, 401, 403, 404, 419, a redirect, an empty
// answer, null, false and an answer without a subject mean nobody. An answer is
// read up to 1 MiB. Of one above 16 KiB placeholders tell no texts above 1 KiB,
// and of the rest 16 KiB.
type SessionEndpoint struct {
	// URL is an address of the app that answers with JSON: https, or http on
	// loopback or with insecure_http. Required. Accepts {env.*} and {file.*}.
	URL string `json:"url,omitempty"`

	// Subject is the member of the answer that names the user: `sub`, or `user.id` for
	// one in an object. It is a text, or a whole number, whose subject is its decimal:
	// 42 and "42" are the same user. 0 is nobody. Default: `sub`.
	Subject string `json:"subject,omitempty"`

	// Expires is the member of the session's end: in seconds or milliseconds since 1970, as a number or a text, or as a date such as
	// 2099-01-01T00:00:00Z or `2099-01-01 00:00:00`, in UTC if it has no zone.
	// Default: it does not.
	Expires string `json:"expires,omitempty"`

	// Headers are added to the request, for an app that depends on its `Host`, `Origin`, `Referer`, or one of its own. Values accept {env.*} and
	// {file.*}, and nothing of the client's request. Default: none.
	Headers map[string]string `json:"headers,omitempty"`

	// Cache is how long an answer is used: no longer than the session, and 10m at most.
	// 0 asks for each request. Default: `30s`.
	Cache *caddy.Duration `json:"cache,omitempty"`
}

// provision expands the settings, and returns the verifier with its cache, from the pool or
// a new one.
func (i *Introspect) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	repl := caddy.NewReplacer()
	v := &session.Introspection{}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{{"url", i.URL, &v.URL}, {"client_id", i.ClientID, &v.ClientID}, {"issuer", i.Issuer, &v.Issuer}} {
		if setting.value == "" {
			continue
		}
		value, err := expandSetting(repl, setting.value)
		if err != nil {
			return nil, fmt.Errorf("introspect %s: %w", setting.name, err)
		}
		*setting.to = value
	}
	secret, err := readSecret(repl, "introspect client_secret", i.ClientSecret)
	if err != nil {
		return nil, err
	}
	v.ClientSecret = delegation.NewSecret(secret)
	if err := s.checkAddress("introspect", v.URL); err != nil {
		return nil, err
	}
	if v.Audiences, err = expandSettings(repl, i.Audiences); err != nil {
		return nil, fmt.Errorf("introspect audience: %w", err)
	}
	v.AudienceClaim, v.TokenType = i.AudienceClaim, i.TokenType
	if v.Header, err = provisionHeaders(repl, i.Headers); err != nil {
		return nil, fmt.Errorf("introspect %w", err)
	}
	s.directive.app.logoutRealms.addSession(v.Issuer, s.Realm)
	if v.Realm = s.Realm; v.Realm == "" {
		v.Realm = v.Issuer
	}
	if s.Realm == "" && v.Issuer != "" {
		if err := s.directive.app.claimDefaultRealm(v.Issuer, "sub"); err != nil {
			return nil, err
		}
	}
	if v.Client, err = s.httpClient(repl); err != nil {
		return nil, err
	}
	return s.poolRemoteVerifier(v, v.Client, v.Settings(), answerLife(i.Cache), revocations)
}

// check returns an error for what is wrong before placeholders are expanded.
func (i *Introspect) check() error {
	switch {
	case i.URL == "":
		return errors.New("introspect needs the URL to ask at")
	case i.ClientID == "":
		return errors.New("introspect: client_id is missing: what the issuer knows this server by")
	case i.ClientSecret == "":
		return errors.New("introspect: client_secret is missing: {file.…} or {env.…} with it")
	case strings.Contains(i.AudienceClaim, "{"):
		return fmt.Errorf("introspect: audience_claim takes the name of a claim and no placeholder: replace %s", i.AudienceClaim)
	case len(i.Audiences) == 0 && i.AudienceClaim != "":
		return errors.New("introspect: audience_claim is where an audience is looked for: add `audience <names...>`")
	case len(i.Audiences) == 0 && !i.AnyAudience:
		return errors.New("introspect: audience is missing: what `aud` of the answer names, or with `audience_claim client_id` the client; without it a token for another app would let its user in here, also a refresh token if the issuer does not tell them apart. If that is meant, write any_audience")
	case len(i.Audiences) > 0 && i.AnyAudience:
		return errors.New("introspect: audience and any_audience exclude each other: remove one")
	}
	if strings.ContainsAny(i.TokenType, "{} \t\r\n") {
		return errors.New("introspect: token_type is a word such as Bearer, and takes no placeholder")
	}
	if err := checkHeaders(i.Headers); err != nil {
		return fmt.Errorf("introspect %w", err)
	}
	return checkAnswerLife(i.Cache)
}

// provision expands the settings, and returns the verifier with its cache, from the pool or
// a new one.
func (e *SessionEndpoint) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	repl := caddy.NewReplacer()
	address, err := expandSetting(repl, e.URL)
	if err != nil {
		return nil, fmt.Errorf("session_endpoint: %w", err)
	}
	if err := s.checkAddress("session_endpoint", address); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("session_endpoint is no URL") // err quotes it
	}
	v := &session.Endpoint{URL: address, Cookie: s.Cookie, Subject: e.Subject, Expires: e.Expires, Realm: s.Realm}
	if v.Header, err = provisionHeaders(repl, e.Headers); err != nil {
		return nil, fmt.Errorf("session_endpoint %w", err)
	}
	if v.Realm == "" {
		v.Realm = u.Scheme + "://" + u.Host
		if err := s.directive.app.claimDefaultRealm(v.Realm, "endpoint", v.URL, v.Subject); err != nil {
			return nil, err
		}
	}
	s.directive.app.logoutRealms.addSession(v.Realm)
	if v.Client, err = s.httpClient(repl); err != nil {
		return nil, err
	}
	return s.poolRemoteVerifier(v, v.Client, v.Settings(), answerLife(e.Cache), revocations)
}

// check returns an error for what is wrong before placeholders are expanded.
func (e *SessionEndpoint) check() error {
	switch {
	case e.URL == "":
		return errors.New("session_endpoint needs the URL to ask at")
	case strings.Contains(e.Subject+e.Expires, "{"):
		return errors.New("session_endpoint: subject and expires take a path such as user.id, and no placeholder")
	}
	if err := checkHeaders(e.Headers); err != nil {
		return fmt.Errorf("session_endpoint %w", err)
	}
	return checkAnswerLife(e.Cache)
}

// parseIntrospect reads:
//
//	introspect <url> {
//	    client_id     <id>
//	    client_secret <secret>
//	    issuer        <name>
//	    audience      <names...>         # or any_audience
//	    audience_claim <name>
//	    token_type    <name>
//	    header_up     <name> <value>     # may stand again
//	    cache         <duration>
//	}
func parseIntrospect(d *caddyfile.Dispenser) (*Introspect, error) {
	i := new(Introspect)
	if err := parseOnce(d, &i.URL); err != nil {
		return nil, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "client_id":
			err = parseOnce(d, &i.ClientID)
		case "client_secret":
			err = parseOnce(d, &i.ClientSecret)
		case "issuer":
			err = parseOnce(d, &i.Issuer)
		case "audience":
			err = parseList(d, &i.Audiences)
		case "audience_claim":
			err = parseOnce(d, &i.AudienceClaim)
		case "token_type":
			err = parseOnce(d, &i.TokenType)
		case "any_audience":
			err = parseFlag(d, &i.AnyAudience)
		case "header_up":
			err = parseHeader(d, &i.Headers)
		case "cache":
			err = parseAnswerLife(d, &i.Cache)
		default:
			err = d.Errf("unrecognized subdirective %q of introspect: expected client_id, client_secret, issuer, audience, audience_claim, token_type, any_audience, header_up or cache", word)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := i.check(); err != nil {
		return nil, d.WrapErr(err)
	}
	return i, nil
}

// parseEndpoint reads:
//
//	session_endpoint <url> {
//	    subject <path>
//	    expires <path>
//	    header_up <name> <value>         # may stand again
//	    cache   <duration>
//	}
func parseEndpoint(d *caddyfile.Dispenser) (*SessionEndpoint, error) {
	e := new(SessionEndpoint)
	if err := parseOnce(d, &e.URL); err != nil {
		return nil, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "subject":
			err = parseOnce(d, &e.Subject)
		case "expires":
			err = parseOnce(d, &e.Expires)
		case "header_up":
			err = parseHeader(d, &e.Headers)
		case "cache":
			err = parseAnswerLife(d, &e.Cache)
		default:
			err = d.Errf("unrecognized subdirective %q of session_endpoint: expected subject, expires, header_up or cache", word)
		}
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}
