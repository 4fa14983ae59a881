// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"errors"
	"strconv"
	"time"
)

// maxEnd is the latest end in seconds since 1970: what is later is milliseconds, or a
// mistake.
const maxEnd = 253_402_300_799 // the year 9999

// ParseEnd parses when a consent ends by itself: a time of RFC 3339, or seconds since
// 1970. The error does not quote the value.
func ParseEnd(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, errors.New("it is empty: it is to be a time of RFC 3339, or seconds since 1970")
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds > 0 && seconds <= maxEnd {
		return time.Unix(seconds, 0).UTC(), nil
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil && at.Unix() > 0 {
		return at.UTC(), nil
	}
	return time.Time{}, errors.New("it is neither a time of RFC 3339, such as 2027-06-30T00:00:00Z, nor seconds since 1970")
}
