// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// parseFlag reads a setting that takes no value and may stand only once.
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
