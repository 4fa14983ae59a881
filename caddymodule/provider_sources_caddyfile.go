// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// sourceLines are where a Caddyfile has a provider of sources, for errors that are
// found once the whole global option was read.
type sourceLines struct {
	head caddyfile.Dispenser
	use  map[string]caddyfile.Dispenser
}

// UnmarshalCaddyfile reads:
//
//	provider <name> [sources] {
//	    use <source> {    # may stand again
//	        client_id     <id>
//	        client_secret <secret>
//	        client_key    <key>
//	        scopes        <scopes...>
//	    }
//	    ends <placeholder>
//	}
func (s *Sources) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // name or kind
	s.lines = sourceLines{head: *d, use: make(map[string]caddyfile.Dispenser)}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "use":
			err = s.parseUse(d)
		case "ends":
			err = s.parseEnds(d)
		default:
			err = d.Errf("unrecognized subdirective %q of provider sources: expected use or ends", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseEnds reads `ends <placeholder>`.
func (s *Sources) parseEnds(d *caddyfile.Dispenser) error {
	if err := parseOnce(d, &s.Ends); err != nil {
		return err
	}
	// Caddy expands shorthands such as {rp.header.X} in site blocks only.
	segment := caddyfile.Segment{d.Token()}
	httpcaddyfile.NewShorthandReplacer().ApplyToSegment(&segment)
	s.Ends = segment[0].Text
	if err := checkPlaceholder(s.Ends); err != nil {
		return d.Errf("ends: %v", err)
	}
	return nil
}

// parseUse reads `use <source> { … }`.
func (s *Sources) parseUse(d *caddyfile.Dispenser) error {
	head, args := *d, d.RemainingArgs()
	client := new(SourceClient)
	words := map[string]*string{"client_id": &client.ClientID, "client_secret": &client.ClientSecret, "client_key": &client.ClientKey}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		if to, ok := words[d.Val()]; ok {
			err = parseOnce(d, to)
		} else if d.Val() == "scopes" {
			err = parseScopes(d, &client.Scopes)
		} else {
			err = d.Errf("unrecognized subdirective %q of use: expected client_id, client_secret, client_key or scopes", d.Val())
		}
		if err != nil {
			return err
		}
	}
	if len(args) != 1 {
		return head.Err("use takes one source's name")
	}
	name := args[0]
	if _, ok := s.Use[name]; ok {
		return head.Errf("use %s is there already", name)
	}
	if client.ClientID == "" && (client.ClientSecret != "" || client.ClientKey != "") {
		return head.Errf("use %s: client_id is missing: a secret without it belongs to nobody", name)
	}
	if s.Use == nil {
		s.Use = make(map[string]*SourceClient)
	}
	s.Use[name], s.lines.use[name] = client, head
	return nil
}

// checkSources checks what the provider of this name uses, once all sources were read.
func (s *Sources) checkSources(provider string, catalogue map[string]*Source) error {
	if len(catalogue) == 0 {
		return s.lines.head.Errf("provider %s has no source: add `source <name> { … }` to delegate", provider)
	}
	for _, name := range s.offered(catalogue) {
		at, ok := s.lines.use[name]
		if !ok {
			at = s.lines.head
		}
		source, ok := catalogue[name]
		if !ok {
			return at.WrapErr(unknownSourceError(name, catalogue))
		}
		all, err := source.complete()
		if err != nil {
			return at.Errf("source %s: %v", name, err)
		}
		if err := all.useClient(s.Use[name]); err != nil {
			return at.Errf("use %s: %v", name, err)
		}
		if all.ClientID == "" {
			return at.Errf("provider %s has no client at the source %s: register an application there, and add client_id and client_secret to `source %s`, or to `use %s` of this provider", provider, name, name, name)
		}
		if all.ClientSecret == "" && all.ClientKey == "" && all.ClientAuth != string(sources.ClientAuthNone) && all.FHIRBase == "" {
			return at.Errf("provider %s has no client_secret at the source %s: add it where its client_id is, or `client_auth none` to `source %s` if the vendor gave none", provider, name, name)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Sources)(nil)
