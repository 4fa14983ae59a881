// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// hiddenSetting stands in place of a setting that may be secret.
const hiddenSetting = "set"

// shownPlaceholder is a setting that says where a value is, or which value of a
// consent it is, and nothing of the value. Other braces may belong to a secret.
var shownPlaceholder = regexp.MustCompile(`^\{(env\.[^{}:]+|file\.[^{}]+|access|refresh|account|client_id|client_secret|id|redirect_uri)\}$`)

// hideSecrets replaces all that may be secret in a source that is complete: the
// client's secret and key, the values of headers, parameters and calls, the proxy, and
// what addresses hold besides a host and a path. Placeholders stay, and so does what
// preset says, which everybody can read. The source's maps and calls are replaced, not
// changed.
func (s *Source) hideSecrets(preset *Source) {
	s.ClientSecret, s.ClientKey = hideSecret(s.ClientSecret), hideSecret(s.ClientKey)
	for _, values := range [][2]*map[string]string{
		{&s.APIHeaders, &preset.APIHeaders},
		{&s.AuthorizeParams, &preset.AuthorizeParams},
		{&s.TokenParams, &preset.TokenParams},
		{&s.RefreshParams, &preset.RefreshParams},
	} {
		*values[0] = hideValues(*values[0], *values[1])
	}
	s.AfterConnect, s.Revoke = s.AfterConnect.hideSecrets(preset.AfterConnect), s.Revoke.hideSecrets(preset.Revoke)
	for _, lookups := range [][2]*[]SourceLookup{{&s.Account, &preset.Account}, {&s.Label, &preset.Label}, {&s.Granted, &preset.Granted}} {
		if reflect.DeepEqual(*lookups[0], *lookups[1]) {
			continue
		}
		*lookups[0] = slices.Clone(*lookups[0])
		for i := range *lookups[0] {
			lookup := &(*lookups[0])[i]
			lookup.URL = hideInAddress(lookup.URL)
		}
	}
	for _, address := range []*string{
		&s.AuthHostURL, &s.APIHostURL, &s.AuthURL, &s.RequestTokenURL, &s.AccessTokenURL, &s.FullAuthURL, &s.FHIRBase, &s.RefreshURL,
	} {
		*address = hideInAddress(*address)
	}
	s.Regions = maps.Clone(s.Regions)
	for name, region := range s.Regions {
		s.Regions[name] = SourceRegion{AuthHostURL: hideInAddress(region.AuthHostURL), APIHostURL: hideInAddress(region.APIHostURL)}
	}
	if s.HTTP != nil {
		shown := *s.HTTP
		shown.Proxy = hideSecret(shown.Proxy)
		s.HTTP = &shown
	}
}

// hideSecrets returns a call without what may be secret; nil for nil.
func (c *SourceCall) hideSecrets(preset *SourceCall) *SourceCall {
	if c == nil || reflect.DeepEqual(c, preset) {
		return c
	}
	shown := *c
	shown.URL, shown.NonceURL, shown.Form, shown.JSON = hideInAddress(c.URL), hideInAddress(c.NonceURL), hideValues(c.Form, nil), hideSecret(c.JSON)
	return &shown
}

// hideValues returns the names with values that are placeholders, or the preset's.
func hideValues(values, preset map[string]string) map[string]string {
	shown := maps.Clone(values)
	for name, value := range shown {
		if public, ok := preset[name]; !ok || public != value {
			shown[name] = hideSecret(value)
		}
	}
	return shown
}

// hideSecret returns a placeholder as it is, and nothing of a secret written out.
func hideSecret(setting string) string {
	if setting == "" || shownPlaceholder.MatchString(setting) {
		return setting
	}
	return hiddenSetting
}

// hideInAddress returns an address without the user and the values of its query.
func hideInAddress(address string) string {
	base, query, hasQuery := strings.Cut(address, "?")
	if scheme, rest, ok := strings.Cut(base, "//"); ok {
		host, path, hasPath := strings.Cut(rest, "/")
		if at := strings.LastIndex(host, "@"); at >= 0 {
			host = hiddenSetting + host[at:]
		}
		if base = scheme + "//" + host; hasPath {
			base += "/" + path
		}
	}
	if !hasQuery {
		return base
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, value, ok := strings.Cut(part, "="); ok {
			parts[i] = name + "=" + hideSecret(value)
		} else {
			parts[i] = hideSecret(part)
		}
	}
	return base + "?" + strings.Join(parts, "&")
}
