// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	defaultExpires = "{http.auth.user.exp}"

	// maxExpiresIn keeps expires_in within what a browser's timer can hold, and
	// limits to a day how long a token that was handed out is used.
	maxExpiresIn = 24 * time.Hour

	// sdkRenewalLead is how long before the expiry MyDataHelps' JavaScript SDK asks
	// for a new token. Told a lifetime of that or less it asks at once, and
	// again for every answer.
	sdkRenewalLead = 120 * time.Second

	// pacedLifetime is the lifetime of tokens up to which responses are paced.
	pacedLifetime = sdkRenewalLead + 30*time.Second

	// placeholderToken is what an SDK sends to the proxy in place of a token.
	placeholderToken = "session"
)

// hasEnoughLife reports whether enough of a token's life remains to hand it out:
// 300 s, or half of its life. For a token that outlives the SDK's lead time, the
// half is counted from there: with less than that lead remaining, the SDK would
// ask again at once.
func hasEnoughLife(t *delegation.Token) bool {
	enough := t.Lifetime() / 2
	if t.Lifetime() > sdkRenewalLead {
		enough += sdkRenewalLead / 2
	}
	return time.Until(t.Expires) >= min(enough, 300*time.Second)
}

// minHandoutInterval returns how long a person has to wait for the next response,
// after one whose token lives lifetime, of which the client is told remaining; 0:
// not at all.
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

// parseTime reads Unix time in seconds, with a fraction or not, or RFC 3339.
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
