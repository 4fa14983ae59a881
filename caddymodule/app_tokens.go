// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// TokenSettings bound how each provider's tokens are kept and obtained.
type TokenSettings struct {
	// Timeout bounds obtaining a token, the wait for a slot at the issuer
	// included; from `100ms` to `5m`. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Concurrency is how many calls for tokens may be at the issuer at once.
	// Default: 16.
	Concurrency int `json:"concurrency,omitempty"`

	// MaxEntries is how many tokens are kept in memory. Default: 100000.
	MaxEntries int `json:"max_entries,omitempty"`
}

const (
	minTokenTimeout = 100 * time.Millisecond
	maxTokenTimeout = 5 * time.Minute
)

// removedTokenSettings are settings of earlier versions, with what to do instead.
var removedTokenSettings = map[string]string{
	"renew_at":               "renew_at is no setting any more: remove it; a token is renewed by its first use after 55 to 65 % of its life",
	"max_waiting":            "max_waiting is no setting any more: remove it; 10000 requests may wait for tokens, 500 of them of one person",
	"max_waiting_per_person": "max_waiting_per_person is no setting any more: remove it; 500 requests of one person may wait for tokens",
}

// engineOptions checks the settings and returns the token engine's options; the
// defaults for nil.
func (t *TokenSettings) engineOptions() (tokens.Options, error) {
	if t == nil {
		return tokens.Options{}, nil
	}
	switch timeout := time.Duration(t.Timeout); {
	case timeout != 0 && (timeout < minTokenTimeout || timeout > maxTokenTimeout):
		return tokens.Options{}, fmt.Errorf("timeout is from %v to %v", minTokenTimeout, maxTokenTimeout)
	case t.Concurrency < 0 || t.MaxEntries < 0:
		return tokens.Options{}, errors.New("concurrency and max_entries are whole numbers from 1 on")
	}
	return tokens.Options{Timeout: time.Duration(t.Timeout), Concurrency: t.Concurrency, MaxEntries: t.MaxEntries}, nil
}

// UnmarshalJSON implements [json.Unmarshaler]. It names what to do where a
// setting was removed, and refuses unknown ones as Caddy does for its modules.
func (t *TokenSettings) UnmarshalJSON(text []byte) error {
	var names map[string]json.RawMessage
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	for name := range names {
		if instead, ok := removedTokenSettings[name]; ok {
			return errors.New("tokens: " + instead)
		}
	}
	type plain TokenSettings // without this method
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	return strict.Decode((*plain)(t))
}

// UnmarshalCaddyfile reads:
//
//	tokens {
//	    timeout     <duration>
//	    concurrency <n>
//	    max_entries <n>
//	}
func (t *TokenSettings) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("tokens takes a block, not %q", d.Val())
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if instead, ok := removedTokenSettings[word]; ok {
			return d.Err(instead)
		}
		if seen[word] {
			return d.Errf("%s is set already", word)
		}
		seen[word] = true
		args := d.RemainingArgs()
		if len(args) != 1 {
			return d.Errf("%s needs one value", word)
		}
		var err error
		switch word {
		case "timeout":
			timeout, err := caddy.ParseDuration(args[0])
			if err != nil || timeout == 0 {
				return d.Errf("timeout is a duration such as 10s, not %q", args[0])
			}
			t.Timeout = caddy.Duration(timeout)
		case "concurrency":
			err = parseCount(d, args[0], &t.Concurrency)
		case "max_entries":
			err = parseCount(d, args[0], &t.MaxEntries)
		default:
			return d.Errf("unrecognized subdirective %q of tokens: expected timeout, concurrency or max_entries", word)
		}
		if err != nil {
			return err
		}
	}
	if _, err := t.engineOptions(); err != nil {
		return d.Errf("tokens: %v", err)
	}
	return nil
}

func parseCount(d *caddyfile.Dispenser, value string, to *int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return d.Errf("%q is no whole number from 1 on", value)
	}
	*to = n
	return nil
}
