// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const (
	// defaultAnswerLife is how long an answer about a session is used by default, and
	// maxAnswerLife the most: for as long nobody notices that the app has signed its
	// user out.
	defaultAnswerLife = 30 * time.Second
	maxAnswerLife     = 10 * time.Minute
)

// answerLife returns how long an answer about a session is used.
func answerLife(d *caddy.Duration) time.Duration {
	if d == nil {
		return defaultAnswerLife
	}
	return time.Duration(*d)
}

// checkAnswerLife returns an error for a `cache` that is out of bounds.
func checkAnswerLife(d *caddy.Duration) error {
	if life := answerLife(d); life < 0 || life > maxAnswerLife {
		return fmt.Errorf("cache %s: at most %s: for as long nobody notices that the app has signed its user out", life, maxAnswerLife)
	}
	return nil
}

// parseAnswerLife reads:
//
//	cache <duration>
func parseAnswerLife(d *caddyfile.Dispenser, to **caddy.Duration) error {
	if *to != nil {
		return d.Err("cache is set already")
	}
	var value string
	if err := parseOnce(d, &value); err != nil {
		return err
	}
	life, err := caddy.ParseDuration(value)
	if err != nil || life < 0 {
		return d.Errf("cache %q: write a duration such as 30s, or 0 to ask for each request", value)
	}
	*to = new(caddy.Duration(life))
	if err := checkAnswerLife(*to); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
