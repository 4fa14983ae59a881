// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	defaultExpires = "{http.auth.user.exp}"

	// maxExpiresIn keeps expires_in within what a browser's timer can hold,
	// and a token that was handed out within a day.
	maxExpiresIn = 24 * time.Hour

	// sdkRenewalLead is how long before the expiry MyDataHelps' JavaScript SDK asks
	// for a new token. Told a lifetime of that or less it asks at once, and
	// again for every answer.
	sdkRenewalLead = 120 * time.Second

	// pacedLifetime is the lifetime up to which answers are paced.
	pacedLifetime = sdkRenewalLead + 30*time.Second

	// placeholderToken is what an SDK sends to the proxy in place of a token.
	placeholderToken = "session"
)

// hasEnoughLife tells whether enough of a token's life remains. For a token
// that outlives the SDK's lead time, the half is counted from there: with
// less than that lead remaining, the SDK would ask again at once.
func hasEnoughLife(t *delegation.Token) bool {
	enough := t.Lifetime() / 2
	if t.Lifetime() > sdkRenewalLead {
		enough += sdkRenewalLead / 2
	}
	return time.Until(t.Expires) >= min(enough, 300*time.Second)
}

// minHandoutInterval is how long a person has to wait for the next answer.
func minHandoutInterval(lifetime, remaining time.Duration) time.Duration {
	switch {
	case lifetime <= pacedLifetime:
		return lifetime / 4
	case remaining <= sdkRenewalLead: // the session is about to end
		return max(remaining/4, time.Second)
	default:
		return 0
	}
}

// checkPace refuses a person who was answered less than wait ago, and otherwise
// takes the place of their next answer.
func (h *TokenHandler) checkPace(p delegation.Person, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	handouts := h.provider.state.tokenPacing
	handouts.DeleteExpired()
	key := strings.Join([]string{strconv.Quote(p.Realm), strconv.Quote(p.Subject), strings.Join(h.Scopes, " ")}, " ")
	if err := handouts.Add(key, nil, wait); err != nil {
		_, until, _ := handouts.GetWithExpiration(key)
		return &delegation.Refusal{Code: delegation.TooManyRequests, RetryAfter: time.Until(until)}
	}
	h.logger.Warn("tokens are too short-lived for the SDK, which renews 120 s before the expiry: answers are paced; lengthen the platform's tokens or the session",
		zap.String("provider", h.Provider), zap.Duration("interval", wait))
	return nil
}

// remainingSession is how long a token may be said to live.
func (h *TokenHandler) remainingSession(r *http.Request, repl *caddy.Replacer) (time.Duration, error) {
	value := h.signedIn(r, repl).placeholderValue(repl, h.SessionExpires)
	if value == "" {
		return maxExpiresIn, nil
	}
	end, err := parseTime(value)
	if err != nil {
		return 0, delegation.Refuse(delegation.SessionRequired, fmt.Errorf("%s: %w", h.SessionExpires, err))
	}
	left := time.Until(end)
	if left < time.Second {
		return 0, delegation.Refuse(delegation.SessionRequired, errors.New("the session has ended"))
	}
	return min(left, maxExpiresIn), nil
}

// parseTime reads seconds since 1970, with a fraction or not, or RFC 3339.
func parseTime(value string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds < 0 || seconds > 1e11 {
			return time.Time{}, errors.New("not a time")
		}
		return time.Unix(int64(seconds), 0), nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, errors.New("neither seconds since 1970 nor an RFC 3339 time")
	}
	return t, nil
}
