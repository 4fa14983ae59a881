// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

const (
	// defaultAskedLife is how long an answer about a session counts, and
	// maxAskedLife the most: for as long nobody notices that the app has
	// signed its user out.
	defaultAskedLife = 30 * time.Second
	maxAskedLife     = 10 * time.Minute
)

// Introspect has the issuer of an access token asked whether it is worth
// anything (RFC 7662).
type Introspect struct {
	// URL is the introspection endpoint: https, or http on loopback or with
	// insecure_http. Required.
	// Accepts {env.*} and {file.*}.
	URL string `json:"url,omitempty"`

	// ClientID and ClientSecret are what the issuer knows this server by; sent
	// by HTTP Basic. Required. Accept {env.*} and {file.*}; a secret written
	// here in clear shows in the config API.
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`

	// Issuer is what `iss` of the answer has to be. Default: it does not matter.
	Issuer string `json:"issuer,omitempty"`

	// Audiences are those of which `aud` of the answer has to name one.
	// Default: any token of the issuer's counts, whichever app has got it.
	Audiences []string `json:"audiences,omitempty"`

	// Cache is how long an answer counts; no longer than the session, and at
	// most 10m. 0 asks for each request. Default: `30s`.
	Cache *caddy.Duration `json:"cache,omitempty"`
}

// SessionEndpoint has the app itself asked who is signed in, with nothing of
// the request but the session. 401, 403, 404 and a redirect mean nobody.
type SessionEndpoint struct {
	// URL is an address of the app that answers with JSON: https, or http on
	// loopback or with insecure_http. Required. Accepts {env.*} and {file.*}.
	URL string `json:"url,omitempty"`

	// Subject is where the answer names the user: `sub`, or `user.id` for one
	// in an object. Default: `sub`.
	Subject string `json:"subject,omitempty"`

	// Expires is where it tells when the session ends, in seconds since 1970 or
	// as a date of RFC 3339. Default: it does not.
	Expires string `json:"expires,omitempty"`

	// Cache is how long an answer counts; no longer than the session, and at
	// most 10m. 0 asks for each request. Default: `30s`.
	Cache *caddy.Duration `json:"cache,omitempty"`
}

func (i *Introspect) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	repl := caddy.NewReplacer()
	v := &session.Introspection{}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{{"url", i.URL, &v.URL}, {"client_id", i.ClientID, &v.ClientID}, {"issuer", i.Issuer, &v.Issuer}} {
		if setting.value == "" {
			continue
		}
		value, err := expand(repl, setting.value)
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
	if v.Audiences, err = expandEach(repl, i.Audiences); err != nil {
		return nil, fmt.Errorf("introspect audience: %w", err)
	}
	if len(v.Audiences) == 0 {
		s.gate.logger.Warn("introspect has no audience: every token of the issuer lets its user in, whichever app has got it")
	}
	if v.Realm = s.Realm; v.Realm == "" {
		v.Realm = v.Issuer
	}
	if s.Realm == "" && v.Issuer != "" {
		if err := s.gate.app.nameRealm(v.Issuer, "sub"); err != nil {
			return nil, err
		}
	}
	if v.Client, err = s.client(repl); err != nil {
		return nil, err
	}
	return s.asked(v, v.Client, introspectionSettings(v), askedLife(i.Cache), revocations)
}

func (i *Introspect) check() error {
	switch {
	case i.URL == "":
		return errors.New("introspect needs the URL to ask at")
	case i.ClientID == "":
		return errors.New("introspect: client_id is missing: what the issuer knows this server by")
	case i.ClientSecret == "":
		return errors.New("introspect: client_secret is missing: {file.…} or {env.…} with it")
	}
	return checkLife(i.Cache)
}

func (e *SessionEndpoint) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	repl := caddy.NewReplacer()
	address, err := expand(repl, e.URL)
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
	if v.Realm == "" {
		v.Realm = u.Scheme + "://" + u.Host
		if err := s.gate.app.nameRealm(v.Realm, "endpoint", v.URL, v.Subject); err != nil {
			return nil, err
		}
	}
	if v.Client, err = s.client(repl); err != nil {
		return nil, err
	}
	return s.asked(v, v.Client, endpointSettings(v), askedLife(e.Cache), revocations)
}

func (e *SessionEndpoint) check() error {
	if e.URL == "" {
		return errors.New("session_endpoint needs the URL to ask at")
	}
	return checkLife(e.Cache)
}

func askedLife(d *caddy.Duration) time.Duration {
	if d == nil {
		return defaultAskedLife
	}
	return time.Duration(*d)
}

func checkLife(d *caddy.Duration) error {
	if life := askedLife(d); life < 0 || life > maxAskedLife {
		return fmt.Errorf("cache %s: at most %s: for as long nobody notices that the app has signed its user out", life, maxAskedLife)
	}
	return nil
}

// client is for questions about sessions.
func (s *AppSession) client(repl *caddy.Replacer) (*http.Client, error) {
	settings, err := s.HTTP.provision(repl)
	if err != nil {
		return nil, err
	}
	client := settings.Client()
	if settings == nil || settings.Timeout == 0 {
		client.Timeout = session.DefaultAskTimeout
	}
	return client, nil
}

// parseIntrospect reads:
//
//	introspect <url> {
//	    client_id     <id>
//	    client_secret <secret>
//	    issuer        <name>
//	    audience      <names...>
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
		case "cache":
			err = parseLife(d, &i.Cache)
		default:
			err = d.Errf("unrecognized subdirective %q of introspect: expected client_id, client_secret, issuer, audience or cache", word)
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
		case "cache":
			err = parseLife(d, &e.Cache)
		default:
			err = d.Errf("unrecognized subdirective %q of session_endpoint: expected subject, expires or cache", word)
		}
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

func parseLife(d *caddyfile.Dispenser, to **caddy.Duration) error {
	if *to != nil {
		return d.Err("cache is set already")
	}
	var value string
	if err := parseOnce(d, &value); err != nil {
		return err
	}
	life, err := caddy.ParseDuration(value)
	if err != nil || life < 0 {
		return d.Errf("cache %q: write a duration such as 30s, or 0 to ask for each request", value)
	}
	*to = new(caddy.Duration(life))
	if err := checkLife(*to); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseList reads the arguments of a setting that may stand only once.
func parseList(d *caddyfile.Dispenser, to *[]string) error {
	word := d.Val()
	if len(*to) > 0 {
		return d.Errf("%s is set already", word)
	}
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return d.Errf("%s needs a value", word)
	}
	for _, value := range *to {
		if err := misread(value); err != nil {
			return d.Errf("%s: %v", word, err)
		}
	}
	return nil
}
