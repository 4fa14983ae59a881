// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// maxRetryAfter is an hour, in seconds: the longest window in which platforms
// count requests. A larger number is a date in a field for a duration.
const maxRetryAfter = 3600

// SetRetryAfter completes a response 429 that has no Retry-After (RFC 6585
// section 4): it becomes the seconds of RateLimit-Reset, from 1 to 3600.
// Clients know Retry-After; MyDataHelps sends RateLimit-Reset alone. A value
// that is no number of seconds, or not the only one, sets nothing.
func SetRetryAfter(h http.Header) {
	resets := h["Ratelimit-Reset"]
	if h.Get("Retry-After") != "" || len(resets) != 1 {
		return
	}
	value := strings.Trim(resets[0], " \t")
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return
	}
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return
	}
	h["Retry-After"] = []string{strconv.FormatUint(min(max(seconds, 1), maxRetryAfter), 10)}
}
