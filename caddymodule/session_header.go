// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// checkHeaders returns an error for headers that must not be added to requests about
// sessions, as far as that is known before placeholders are expanded.
func checkHeaders(headers map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		if canonical := http.CanonicalHeaderKey(name); canonical != name {
			if _, again := headers[canonical]; again {
				return fmt.Errorf("header_up %s is set already", canonical)
			}
			name = canonical
		}
		if strings.Contains(value, "{http.") {
			// A client that chooses a header may choose how the app reads the
			// session, and answers are kept whatever the next client sends.
			return fmt.Errorf("header_up %s: nothing of the client's request goes along with a question about its session: write a fixed value, {env.*} or {file.*}", name)
		}
		if strings.Contains(value, "{") {
			value = "x" // judged when it is filled in
		}
		if err := session.CheckHeader(name, value); err != nil {
			return fmt.Errorf("header_up %s: %w", name, err)
		}
	}
	return nil
}

// provisionHeaders returns the headers with placeholders expanded. The error quotes no
// value.
func provisionHeaders(repl *caddy.Replacer, headers map[string]string) (http.Header, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	out := make(http.Header, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value, err := expandSetting(repl, headers[name])
		if strings.HasPrefix(headers[name], "{") && err == nil {
			warnExposedFile(headers[name])
		}
		name = http.CanonicalHeaderKey(name)
		if err == nil {
			err = session.CheckHeader(name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("header_up %s: %w", name, err)
		}
		out[name] = []string{value}
	}
	return out, nil
}

// parseHeader reads:
//
//	header_up <name> <value>
func parseHeader(d *caddyfile.Dispenser, to *map[string]string) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("header_up takes a name and a value: it sets the header, and does nothing else")
	}
	if strings.ContainsAny(args[0][:min(1, len(args[0]))], "+-?>") {
		return d.Errf("header_up %s: it sets a header, in place of any other: leave out the first character", args[0])
	}
	name := http.CanonicalHeaderKey(args[0])
	if _, again := (*to)[name]; again {
		return d.Errf("header_up %s is set already", name)
	}
	if err := checkHeaders(map[string]string{name: args[1]}); err != nil {
		return d.WrapErr(err)
	}
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[name] = args[1]
	return nil
}
