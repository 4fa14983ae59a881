// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// TokenSettings says how each provider's tokens are kept and renewed.
type TokenSettings struct {
	// RenewAt is the part of its life, between 0.3 and 0.85, after which a token
	// in use is renewed in the background, at the latest; up to a tenth of the
	// life earlier, so that tokens of the same age do not come due together.
	// Default: 0.75.
	RenewAt float64 `json:"renew_at,omitempty"`

	// Timeout is what obtaining a token may take, waiting for a turn included.
	// Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Concurrency is how many calls for tokens may be at the issuer at once.
	// Default: 16.
	Concurrency int `json:"concurrency,omitempty"`

	// MaxEntries is how many tokens are kept in memory. Default: 100000.
	MaxEntries int `json:"max_entries,omitempty"`

	// MaxWaiting is how many requests may wait for tokens at once; more are
	// refused with `overloaded`. Default: 10000.
	MaxWaiting int `json:"max_waiting,omitempty"`

	// MaxWaitingPerPerson is how many of them may be one person's. Default: 500.
	MaxWaitingPerPerson int `json:"max_waiting_per_person,omitempty"`
}

const (
	// Below, tokens would be renewed all the time, above not before they are
	// no longer used.
	minRenewAt = 0.3
	maxRenewAt = 0.85

	minTokenTimeout = 100 * time.Millisecond
	maxTokenTimeout = 5 * time.Minute
)

// engineOptions checks the settings. A nil Tokens is the defaults.
func (t *TokenSettings) engineOptions() (tokens.Options, error) {
	if t == nil {
		return tokens.Options{}, nil
	}
	switch timeout := time.Duration(t.Timeout); {
	case t.RenewAt != 0 && (t.RenewAt < minRenewAt || t.RenewAt > maxRenewAt):
		return tokens.Options{}, fmt.Errorf("renew_at is a part of a token's life: a number from %v to %v", minRenewAt, maxRenewAt)
	case timeout != 0 && (timeout < minTokenTimeout || timeout > maxTokenTimeout):
		return tokens.Options{}, fmt.Errorf("timeout is from %v to %v", minTokenTimeout, maxTokenTimeout)
	case t.Concurrency < 0 || t.MaxEntries < 0 || t.MaxWaiting < 0 || t.MaxWaitingPerPerson < 0:
		return tokens.Options{}, errors.New("concurrency, max_entries and max_waiting are whole numbers from 1 on")
	}
	return tokens.Options{
		RenewAt: t.RenewAt, Timeout: time.Duration(t.Timeout), Concurrency: t.Concurrency,
		MaxEntries: t.MaxEntries, MaxWaiting: t.MaxWaiting, MaxWaitingPerPerson: t.MaxWaitingPerPerson,
	}, nil
}

// UnmarshalCaddyfile reads:
//
//	tokens {
//	    renew_at    <part>
//	    timeout     <duration>
//	    concurrency <n>
//	    max_entries <n>
//	    max_waiting <n> [<n per person>]
//	}
func (t *TokenSettings) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("tokens takes a block, not %q", d.Val())
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return d.Errf("%s is set already", word)
		}
		seen[word] = true
		args := d.RemainingArgs()
		if len(args) != 1 && (word != "max_waiting" || len(args) != 2) {
			return d.Errf("%s needs one value", word)
		}
		var err error
		switch word {
		case "renew_at":
			if t.RenewAt, err = strconv.ParseFloat(args[0], 64); err != nil || t.RenewAt == 0 {
				return d.Errf("renew_at is a part of a token's life, such as 0.75, not %q", args[0])
			}
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
		case "max_waiting":
			if err = parseCount(d, args[0], &t.MaxWaiting); err == nil && len(args) == 2 {
				err = parseCount(d, args[1], &t.MaxWaitingPerPerson)
			}
		default:
			return d.Errf("unrecognized subdirective %q of tokens: expected renew_at, timeout, concurrency, max_entries or max_waiting", word)
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
