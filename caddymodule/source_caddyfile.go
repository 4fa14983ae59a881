// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// parseSource reads `source <name> [<preset>] { … }` of the global option:
//
//	source <name> [<preset>] {
//	    name              <text>
//	    auth_host_url     <url>
//	    api_host_url      <url>
//	    auth_url          <url>
//	    request_token_url none|<url>
//	    access_token_url  <url>
//	    full_auth_url     auto|<url>
//	    client_id         <id>
//	    client_secret     <secret>
//	    logo              <file>
//	    ...
//	}
func (a *App) parseSource(d *caddyfile.Dispenser) error {
	head := *d // errors about the whole block name its first line
	args := d.RemainingArgs()
	s := new(Source)
	if err := s.parseBlock(d); err != nil {
		return err
	}
	switch {
	case len(args) == 0 || len(args) > 2:
		return head.Err("source takes a name, and a preset if it is not called so: `source <name> [<preset>] { … }`")
	case len(args) == 2:
		s.Preset = args[1]
	case !s.hasAddress():
		if _, ok := sources.Preset(args[0]); ok {
			s.Preset = args[0]
		}
	}
	name := args[0]
	if err := sources.CheckName(name); err != nil {
		return head.WrapErr(err)
	}
	if _, ok := a.Sources[name]; ok {
		return head.Errf("source %s is there already: give each a name of its own", name)
	}
	all, err := s.complete()
	if err == nil {
		err = all.checkComplete()
	}
	if err == nil {
		err = all.checkAddresses()
	}
	if err != nil {
		return head.Errf("source %s: %v", name, err)
	}
	if a.Sources == nil {
		a.Sources = make(map[string]*Source)
	}
	a.Sources[name] = s
	return nil
}

// sourceChoices are the settings that have one of a few values.
var sourceChoices = map[string][]string{
	"client_auth":  {string(sources.ClientAuthBody), string(sources.ClientAuthBasic), string(sources.ClientAuthNone), string(sources.ClientAuthKey)},
	"covers":       {string(sources.CoversEqual), string(sources.CoversSMART)},
	"pkce":         {"on", "off"},
	"refresh":      {string(sources.RefreshRotates), string(sources.RefreshKept), string(sources.RefreshNone)},
	"signature":    {sources.HMACSHA1, sources.HMACSHA256},
	"signature_in": {signatureInHeader, signatureInQuery},
	"callback_at":  {callbackAtRequest, callbackAtAuthorize},
}

// checkChoice returns an error for a value that a setting cannot have.
func checkChoice(word, value string) error {
	if choices := sourceChoices[word]; value != "" && choices != nil && !slices.Contains(choices, value) {
		return fmt.Errorf("%s %q: write one of %s", word, value, strings.Join(choices, ", "))
	}
	return nil
}

// parseBlock reads the block of a source.
func (s *Source) parseBlock(d *caddyfile.Dispenser) error {
	words := s.words()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "region":
			err = s.parseRegion(d)
		case "scopes":
			err = parseScopes(d, &s.Scopes)
		case "reserve":
			err = parseList(d, &s.Reserve)
		case "authorize_param":
			err = parsePair(d, &s.AuthorizeParams)
		case "token_param":
			err = parsePair(d, &s.TokenParams)
		case "refresh_param":
			err = parsePair(d, &s.RefreshParams)
		case "api_header":
			err = parsePair(d, &s.APIHeaders)
		case "api_refused":
			err = s.parseRefused(d)
		case "reply":
			err = s.parseReply(d)
		case "refresh_life":
			err = parseDuration(d, &s.RefreshLife)
		case "grace":
			err = parseDuration(d, &s.Grace)
		case "account":
			err = parseLookup(d, &s.Account)
		case "label":
			err = parseLookup(d, &s.Label)
		case "granted":
			err = parseLookup(d, &s.Granted)
		case "after_connect":
			err = parseCall(d, &s.AfterConnect)
		case "revoke":
			err = parseCall(d, &s.Revoke)
		case "allow_private":
			err = parseFlag(d, &s.AllowPrivate)
		case "http":
			err = parseHTTP(d, &s.HTTP)
		default:
			to, ok := words[word]
			if !ok {
				return d.Errf("unrecognized subdirective %q of source", word)
			}
			err = parseOnce(d, to)
			if wrong := checkChoice(word, *to); err == nil && wrong != nil {
				err = d.WrapErr(wrong)
			}
			if err == nil && word == "ended" {
				if _, wrong := sources.ParseEnd(*to); wrong != nil {
					err = d.Errf("ended: %v", wrong)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// words returns the settings that have one value.
func (s *Source) words() map[string]*string {
	return map[string]*string{
		"name": &s.Name, "auth_host_url": &s.AuthHostURL, "api_host_url": &s.APIHostURL, "auth_url": &s.AuthURL,
		"request_token_url": &s.RequestTokenURL, "access_token_url": &s.AccessTokenURL, "full_auth_url": &s.FullAuthURL,
		"client_id": &s.ClientID, "client_secret": &s.ClientSecret, "logo": &s.Logo,
		"fhir_base": &s.FHIRBase, "refresh_url": &s.RefreshURL, "issuer": &s.Issuer,
		"client_auth": &s.ClientAuth, "client_key": &s.ClientKey, "scope_separator": &s.ScopeSeparator,
		"covers": &s.Covers, "pkce": &s.PKCE, "refresh": &s.Refresh, "signature": &s.Signature,
		"signature_in": &s.SignatureIn, "callback_at": &s.CallbackAt, "ended": &s.Ended,
	}
}

// parseRegion reads `region <name>`, which chooses the hosts of a region, or with a
// block defines them.
func (s *Source) parseRegion(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	var region SourceRegion
	words, block := map[string]*string{"auth_host_url": &region.AuthHostURL, "api_host_url": &region.APIHostURL}, false
	for nesting := d.Nesting(); d.NextBlock(nesting); block = true {
		to, ok := words[d.Val()]
		if !ok {
			return d.Errf("unrecognized subdirective %q of region: expected auth_host_url or api_host_url", d.Val())
		}
		if err := parseOnce(d, to); err != nil {
			return err
		}
	}
	if len(args) != 1 {
		return d.Err("region takes one name")
	}
	name := args[0]
	if !block {
		if s.Region != "" {
			return d.Err("region is set already")
		}
		s.Region = name
		return nil
	}
	if _, ok := s.Regions[name]; ok {
		return d.Errf("region %s is there already", name)
	}
	if s.Regions == nil {
		s.Regions = make(map[string]SourceRegion)
	}
	s.Regions[name] = region
	return nil
}

// parsePair reads a name and a value. The word may stand again, with another name.
func parsePair(d *caddyfile.Dispenser, to *map[string]string) error {
	word, args := d.Val(), d.RemainingArgs()
	if len(args) != 2 || args[0] == "" {
		return d.Errf("%s takes a name and a value", word)
	}
	if _, ok := (*to)[args[0]]; ok {
		return d.Errf("%s %s is set already", word, args[0])
	}
	if err := checkFilePlaceholder(args[1]); err != nil {
		return d.Errf("%s %s: %v", word, args[0], err)
	}
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[args[0]] = args[1]
	return nil
}

// parseDuration reads a positive duration that may stand only once.
func parseDuration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	word, text := d.Val(), ""
	if *to != 0 {
		return d.Errf("%s is set already", word)
	}
	if err := parseOnce(d, &text); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return d.Errf("%s %q: write a positive duration such as 8h or 365d", word, text)
	}
	*to = caddy.Duration(duration)
	return nil
}
