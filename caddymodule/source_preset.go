// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// presetSource returns a preset as a source. The error says which presets there are.
func presetSource(name string) (*Source, error) {
	text, ok := sources.Preset(name)
	if !ok {
		return nil, fmt.Errorf("there is no preset %q: name one of %s, or leave it out and state the source yourself", name, strings.Join(sources.PresetNames(), ", "))
	}
	return parsePreset(name, text)
}

// parsePreset reads the Caddyfile text of a preset, by the parser of the global option.
func parsePreset(name string, text []byte) (*Source, error) {
	tokens, err := caddyfile.Tokenize(text, "preset "+name)
	if err != nil {
		return nil, fmt.Errorf("preset %s: %w", name, err)
	}
	d := caddyfile.NewDispenser(tokens)
	d.Next() // source
	s, stated := new(Source), ""
	if d.NextArg() {
		stated = d.Val()
	}
	if err := s.parseBlock(d); err != nil {
		return nil, err
	}
	if stated != name || d.Next() {
		return nil, d.Errf("a preset is one source of the file's name, %s", name)
	}
	return s, nil
}

// complete returns the source with what its preset says of all that it does not say
// itself, and with the hosts of its region.
func (s *Source) complete() (*Source, error) {
	all := new(Source)
	if s.Preset != "" {
		var err error
		if all, err = presetSource(s.Preset); err != nil {
			return nil, err
		}
	}
	to, from := reflect.ValueOf(all).Elem(), reflect.ValueOf(s).Elem()
	for i := range from.NumField() {
		value, field := from.Field(i), to.Field(i)
		switch {
		case value.IsZero():
		case value.Kind() == reflect.Map:
			if field.IsNil() { // a map of its own: placeholders are expanded in it
				field.Set(reflect.MakeMap(value.Type()))
			}
			for entries := value.MapRange(); entries.Next(); {
				field.SetMapIndex(entries.Key(), entries.Value())
			}
		default:
			field.Set(value)
		}
	}
	return all, all.applyRegion()
}

// applyRegion sets the hosts of the region.
func (s *Source) applyRegion() error {
	if s.Region == "" {
		return nil
	}
	region, ok := s.Regions[s.Region]
	if !ok {
		return fmt.Errorf("region %q is none of the source's: name one of %s", s.Region, strings.Join(slices.Sorted(maps.Keys(s.Regions)), ", "))
	}
	if region.AuthHostURL != "" {
		s.AuthHostURL = region.AuthHostURL
	}
	if region.APIHostURL != "" {
		s.APIHostURL = region.APIHostURL
	}
	return nil
}

// checkComplete returns an error for a source that leaves one of the mandatory
// settings out. It looks at no value, which may be a placeholder.
func (s *Source) checkComplete() error {
	if s.FHIRBase != "" {
		for _, a := range s.mandatory()[1:] {
			if a.value != "" {
				return fmt.Errorf("%s stands beside fhir_base, by which it is found: remove one of them", a.name)
			}
		}
		return nil
	}
	if s.Preset == "smart" {
		return errors.New("fhir_base is missing: add the base of the FHIR server, such as `fhir_base https://fhir.example.org/R4`")
	}
	settings := s.mandatory()
	if s.Preset == "" && !slices.ContainsFunc(settings, func(a mandatorySetting) bool { return a.value != "" }) {
		return fmt.Errorf("the source has no address, and its name is that of no preset: correct it to one of %s; or name the preset after it; or give the seven settings of a source by hand, from `name` to `full_auth_url`", strings.Join(sources.PresetNames(), ", "))
	}
	for _, a := range settings {
		if a.value == "" {
			return fmt.Errorf("%s is missing: add `%s %s`, or name a preset after the source's name: %s", a.name, a.name, a.example, strings.Join(sources.PresetNames(), ", "))
		}
	}
	return nil
}

// mandatorySetting is one of the seven settings that every source has.
type mandatorySetting struct{ name, value, example string }

func (s *Source) mandatory() []mandatorySetting {
	return []mandatorySetting{
		{"name", s.Name, `"City lab"`},
		{"auth_host_url", s.AuthHostURL, "https://login.lab.example"},
		{"api_host_url", s.APIHostURL, "https://api.lab.example"},
		{"auth_url", s.AuthURL, "/oauth2/authorize"},
		{"request_token_url", s.RequestTokenURL, "none"},
		{"access_token_url", s.AccessTokenURL, "/oauth2/token"},
		{"full_auth_url", s.FullAuthURL, "auto"},
	}
}

// hasAddress reports whether the source states an address, so that its name is no
// preset's.
func (s *Source) hasAddress() bool {
	for _, a := range s.mandatory()[1:] {
		if a.value != "" {
			return true
		}
	}
	return false
}
