// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// The values of signature_in and callback_at.
const (
	signatureInHeader   = "header"
	signatureInQuery    = "query"
	callbackAtRequest   = "request_token"
	callbackAtAuthorize = "authorize"
)

// config returns the source, its preset and the client of one application as one,
// checked. It reads files, and touches no network.
func (s *Source) config(name string, client *SourceClient) (*sources.Config, error) {
	all, err := s.complete()
	if err != nil {
		return nil, err
	}
	if err := all.checkComplete(); err != nil {
		return nil, err
	}
	for word, value := range all.words() {
		if err := checkChoice(word, *value); err != nil {
			return nil, err
		}
	}
	if err := all.useClient(client); err != nil {
		return nil, err
	}
	repl := caddy.NewReplacer()
	if err := all.expand(repl); err != nil {
		return nil, err
	}
	c := &sources.Config{
		Name: name, Title: all.Name, FHIRBase: all.FHIRBase, Issuer: all.Issuer, ClientID: all.ClientID,
		ClientAuth: sources.ClientAuth(all.ClientAuth), Scopes: all.Scopes, ScopeSeparator: all.ScopeSeparator, Reserve: all.Reserve,
		Covers: sources.Covers(all.Covers), NoPKCE: all.PKCE == "off",
		AuthorizeParams: all.AuthorizeParams, TokenParams: all.TokenParams, RefreshParams: all.RefreshParams,
		Refresh: sources.RefreshKind(all.Refresh), RefreshLife: time.Duration(all.RefreshLife), Grace: time.Duration(all.Grace),
		Signature: all.Signature, SignatureInQuery: all.SignatureIn == signatureInQuery,
		CallbackAtAuthorize: all.CallbackAt == callbackAtAuthorize, AllowPrivate: all.AllowPrivate,
	}
	if len(c.Scopes) == 1 && c.Scopes[0] == "none" {
		c.Scopes, c.NoScope = nil, true
	}
	if all.Reply != nil {
		c.Reply = all.Reply.reply()
	}
	if r := all.APIRefused; r != nil {
		c.APIRefused = &sources.APIRefused{Member: r.Member, Values: r.Values}
	}
	if err := all.addresses().Resolve(c); err != nil {
		return nil, err
	}
	if err := all.setSteps(c); err != nil {
		return nil, err
	}
	if all.Ended != "" {
		if c.Ended, err = sources.ParseEnd(all.Ended); err != nil {
			return nil, fmt.Errorf("ended: %w", err)
		}
	}
	if err := all.setSecrets(c, repl); err != nil {
		return nil, err
	}
	if c.HTTP, err = all.HTTP.settings(repl); err != nil {
		return nil, err
	}
	if all.Logo != "" {
		if c.Logo, c.LogoType, err = readLogo(all.Logo); err != nil {
			return nil, fmt.Errorf("logo: %w", err)
		}
	}
	c.SetDefaults()
	return c, c.Validate()
}

// expand replaces the placeholders in all that is no secret and no part of a call.
func (s *Source) expand(repl *caddy.Replacer) error {
	var settings []namedSetting
	for name, to := range s.words() {
		if name != "client_secret" && name != "client_key" && name != "scope_separator" && name != "name" {
			settings = append(settings, namedSetting{name, *to, to})
		}
	}
	if err := expandNamed(repl, settings...); err != nil {
		return err
	}
	for word, params := range map[string]map[string]string{"authorize_param": s.AuthorizeParams, "token_param": s.TokenParams, "refresh_param": s.RefreshParams} {
		for name, value := range params {
			if value == sources.RedirectURI {
				continue
			}
			expanded, err := expandSetting(repl, value)
			if err != nil {
				return fmt.Errorf("%s %s: %w", word, name, err)
			}
			params[name] = expanded
		}
	}
	return nil
}

// setSecrets reads the client's secret and key, and the headers of data calls.
func (s *Source) setSecrets(c *sources.Config, repl *caddy.Replacer) (err error) {
	if setting := s.ClientSecret; setting != "" {
		c.LoadSecret = func() (delegation.Secret, error) { return loadSecret("client_secret", setting) }
		if c.ClientSecret, err = c.LoadSecret(); err != nil {
			return err
		}
	}
	if s.ClientKey != "" {
		if c.ClientKey, err = loadSecret("client_key", s.ClientKey); err != nil {
			return err
		}
	}
	if len(s.APIHeaders) > 0 {
		c.APIHeaders = make(map[string]delegation.Secret)
	}
	for name, setting := range s.APIHeaders {
		value, err := readSecret(repl, "api_header "+name, setting)
		if err != nil {
			return err
		}
		c.APIHeaders[name] = delegation.NewSecret(value)
	}
	return nil
}

// setSteps sets the look-ups and the calls, whose paths are the API host's.
func (s *Source) setSteps(c *sources.Config) error {
	for _, lookup := range []struct {
		word string
		from []SourceLookup
		to   **sources.Lookup
	}{{"account", s.Account, &c.Account}, {"label", s.Label, &c.Label}, {"granted", s.Granted, &c.Granted}} {
		to := lookup.to
		for _, l := range lookup.from {
			if l.In == "none" {
				break
			}
			found := &sources.Lookup{In: sources.Place(l.In), Path: l.Path}
			if l.URL != "" {
				var err error
				if found.URL, err = c.AtAPI(lookup.word, l.URL); err != nil {
					return err
				}
			}
			*to, to = found, &found.Or
		}
	}
	for _, call := range []struct {
		word string
		from *SourceCall
		to   **sources.Call
	}{{"after_connect", s.AfterConnect, &c.AfterConnect}, {"revoke", s.Revoke, &c.Revoke}} {
		if call.from == nil || call.from.Method == "none" {
			continue
		}
		made := call.from.call()
		for _, address := range []*string{&made.URL, &made.NonceURL} {
			if strings.HasPrefix(*address, "/") {
				*address = c.APIOrigin() + *address
			}
		}
		*call.to = made
	}
	return nil
}

// addresses returns the addresses as package sources has them.
func (s *Source) addresses() sources.Addresses {
	return sources.Addresses{
		AuthHost: s.AuthHostURL, APIHost: s.APIHostURL, Auth: s.AuthURL, RequestToken: s.RequestTokenURL,
		AccessToken: s.AccessTokenURL, FullAuth: s.FullAuthURL, Refresh: s.RefreshURL, FHIRBase: s.FHIRBase,
	}
}

// checkAddresses checks the addresses, unless a placeholder stands in one.
func (s *Source) checkAddresses() error {
	a := s.addresses()
	for _, address := range []string{a.AuthHost, a.APIHost, a.Auth, a.RequestToken, a.AccessToken, a.FullAuth, a.Refresh, a.FHIRBase} {
		if strings.Contains(address, "{") {
			return nil // Provision checks them
		}
	}
	return a.Resolve(&sources.Config{AllowPrivate: s.AllowPrivate})
}

// call returns the call as package sources has it.
func (c *SourceCall) call() *sources.Call {
	return &sources.Call{Method: c.Method, URL: c.URL, Form: c.Form, JSON: c.JSON, Auth: c.Auth, NonceURL: c.NonceURL, OK: c.OK}
}

// reply returns the reply as package sources has it.
func (r *SourceReply) reply() sources.Reply {
	return sources.Reply{
		Root: r.Root, OK: r.OK, OKValue: r.OKValue, RefusedAt: r.RefusedAt, Refused: r.Refused, Access: r.Access, Refresh: r.Refresh, Scope: r.Scope,
		ExpiresIn: r.ExpiresIn, ExpiresUnit: time.Duration(r.ExpiresUnit), ExpiresAt: r.ExpiresAt, ExpiresClaim: r.ExpiresClaim,
	}
}
