// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// dateFormats are the forms in which apps write the end of a session: RFC 3339, and
// what databases and date libraries make of a time in UTC.
var dateFormats = []string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 UTC",
}

const (
	// minMillis is the first second after the year 9999. A number from there on is
	// in milliseconds, of the year 1978 or later, up to maxMillis.
	minMillis = 253_402_300_800
	maxMillis = minMillis * 1000
)

// date returns a claim that is a time: seconds or milliseconds since 1970, as a
// number or a text, or one of dateFormats, in UTC where it has no zone. Zero if there
// is none. The error says what to write instead.
func (d claims) date(path string) (time.Time, error) {
	var text string
	switch v := d.value(path).(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		return parseEpoch(path, v.String())
	case string:
		text = v
	default:
		return time.Time{}, errors.New(path + " is neither a number nor a text: name what tells when the session ends")
	}
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		return parseEpoch(path, text)
	}
	for _, form := range dateFormats {
		at, err := time.Parse(form, text)
		switch {
		case err != nil: // it quotes the text
		case at.Unix() < 0: // the year 1 must not pass for no date
			return time.Time{}, errors.New(path + " is out of range: a date before 1970")
		default:
			return at, nil
		}
	}
	return time.Time{}, errors.New(path + " is no date: write seconds or milliseconds since 1970, or a date such as 2099-01-01T00:00:00Z")
}

// parseEpoch returns the time of seconds or milliseconds since 1970.
func parseEpoch(path, text string) (time.Time, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n >= maxMillis {
		return time.Time{}, errors.New(path + " is out of range: neither seconds nor milliseconds since 1970")
	}
	if n < minMillis {
		n *= 1000
	}
	return time.UnixMilli(int64(n)), nil
}
