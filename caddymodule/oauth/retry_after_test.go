// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Retry-After may be seconds or a date, past or absurd; without it the
// platform's RateLimit-Reset counts.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":         {http.Header{}, 0},
		"seconds":      {http.Header{"Retry-After": {"17"}}, 17 * time.Second},
		"zero":         {http.Header{"Retry-After": {"0"}}, 0},
		"date":         {http.Header{"Retry-After": {date(90 * time.Second)}}, 90 * time.Second},
		"past":         {http.Header{"Retry-After": {date(-time.Hour)}}, 0},
		"1e9":          {http.Header{"Retry-After": {"1000000000"}}, time.Hour},
		"beyond int64": {http.Header{"Retry-After": {strings.Repeat("9", 40)}}, time.Hour},
		"far date":     {http.Header{"Retry-After": {date(9000 * time.Hour)}}, time.Hour},
		"negative":     {http.Header{"Retry-After": {"-5"}}, 0},
		"garbage":      {http.Header{"Retry-After": {"soon"}, "Ratelimit-Reset": {"30"}}, 30 * time.Second},
		"reset":        {http.Header{"Ratelimit-Reset": {"1800"}}, 30 * time.Minute},
		"both":         {http.Header{"Retry-After": {"5"}, "Ratelimit-Reset": {"1800"}}, 5 * time.Second},
	} {
		if got := RetryAfter(c.header, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{status: 429, header: http.Header{"Retry-After": {"17"}}}
		_, err := i.requestToken(t)
		if e := asError(t, err); e.RetryAfter != 17*time.Second || e.Refusal().RetryAfter != 17*time.Second {
			t.Errorf("%v, %v", e.RetryAfter, e.Refusal().RetryAfter)
		}
	})
}
