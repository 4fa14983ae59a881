// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parseFlag reads a setting that takes no value. It may stand only once.
func parseFlag(d *caddyfile.Dispenser, to *bool) error {
	word := d.Val()
	if *to || d.NextArg() {
		return d.Errf("%s stands once, and by itself", word)
	}
	*to = true
	return nil
}

// parseOnce reads the one argument of a setting that may stand only once.
func parseOnce(d *caddyfile.Dispenser, to *string) error {
	word := d.Val()
	if *to != "" {
		return d.Errf("%s is set already", word)
	}
	if !d.NextArg() || d.Val() == "" {
		return d.Errf("%s needs a value", word)
	}
	*to = d.Val()
	if err := checkFilePlaceholder(*to); err != nil {
		return d.Errf("%s: %v", word, err)
	}
	if d.NextArg() {
		return d.Errf("%s takes one value, not %q as well", word, d.Val())
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
		if err := checkFilePlaceholder(value); err != nil {
			return d.Errf("%s: %v", word, err)
		}
	}
	return nil
}

// parseScopes reads the scopes of a provider. They may stand only once, and are
// taken as they are written: a scope holds no placeholder.
func parseScopes(d *caddyfile.Dispenser, to *[]string) error {
	if len(*to) > 0 {
		return d.Err("scopes is set already")
	}
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return d.Err("scopes needs at least one scope")
	}
	return nil
}

// expandSetting replaces the placeholders of a setting. Its error names the
// placeholder, never a value, which may be a secret.
func expandSetting(repl *caddy.Replacer, setting string) (string, error) {
	if err := checkFilePlaceholder(setting); err != nil {
		return "", err
	}
	value, err := repl.ReplaceOrErr(setting, true, true)
	if err != nil {
		return "", fmt.Errorf("%w: check that the variable is set, or that the file exists, holds something and can be read", err)
	}
	return value, nil
}

// expandSettings is [expandSetting] for a list.
func expandSettings(repl *caddy.Replacer, settings []string) ([]string, error) {
	all := make([]string, len(settings))
	for i, setting := range settings {
		var err error
		if all[i], err = expandSetting(repl, setting); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// namedSetting is a setting by its name in the Caddyfile, with the place for
// its expanded value.
type namedSetting struct {
	name, value string
	to          *string
}

// expandNamed expands settings and trims white space, such as the line break at
// the end of a file. Empty settings stay empty. Its error begins with the
// setting's name.
func expandNamed(repl *caddy.Replacer, settings ...namedSetting) error {
	for _, setting := range settings {
		if setting.value == "" {
			continue
		}
		value, err := expandSetting(repl, setting.value)
		if err != nil {
			return fmt.Errorf("%s: %w", setting.name, err)
		}
		*setting.to = strings.TrimSpace(value)
	}
	return nil
}

// pathFilePlaceholder is the start of what Caddy's shorthand {file.*} becomes
// in a site block: the file of the request's path.
const pathFilePlaceholder = "{http.request.uri.path.file."

// checkFilePlaceholder refuses a placeholder for a file that the Caddyfile
// adapter has taken for a shorthand: in a site block {file.secret} is one,
// {file./path/secret} is not.
func checkFilePlaceholder(setting string) error {
	_, name, ok := strings.Cut(setting, pathFilePlaceholder)
	if !ok {
		return nil
	}
	name, _, _ = strings.Cut(name, "}")
	return fmt.Errorf("in a site Caddy reads {file.%s} as a part of the request's path, because the name has neither slash nor dot: write the file's whole path, such as {file./run/secrets/%s}", name, name)
}
