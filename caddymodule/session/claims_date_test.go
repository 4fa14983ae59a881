// SPDX-License-Identifier: Apache-2.0

package session

import (
	"testing"
	"time"
)

// TestC4b_Dates protects from sessions that end too late, or at once, because
// their app writes time in another way.
func TestC4b_Dates(t *testing.T) {
	newYear := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		`4070908800`:                   newYear,
		`4070908800.0`:                 newYear,
		`4.0709088e9`:                  newYear,
		`4070908800000`:                newYear,
		`"4070908800"`:                 newYear,
		`"4070908800000"`:              newYear,
		`"4070908800.000000"`:          newYear,
		`"2099-01-01T00:00:00Z"`:       newYear,
		`"2099-01-01T01:00:00+01:00"`:  newYear,
		`"2099-01-01T00:00:00.000Z"`:   newYear,
		`"2099-01-01T00:00:00"`:        newYear,
		`"2099-01-01T00:00:00.000000"`: newYear,
		`"2099-01-01 00:00:00"`:        newYear,
		`"2099-01-01 00:00:00.000000"`: newYear,
		`"2099-01-01 00:00:00 UTC"`:    newYear,
		`"2098-12-31 19:00:00-05:00"`:  newYear,
		`0`:                            time.Unix(0, 0),
		`1`:                            time.Unix(1, 0),
		`253402300799`:                 time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		`253402300800`:                 time.UnixMilli(253402300800),
		`253402300799999`:              time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		`null`:                         {},
	} {
		d, err := decodeClaims([]byte(`{"e":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.date("e"); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		`true`, `false`, `[]`, `{}`, `[4070908800]`, `""`, `" "`, `-1`, `"-1"`, `1e300`, `253402300800000`, `4070908800000000`,
		`"4070908800000000"`, `"1.2.3"`, `"."`, `"inf"`, `"NaN"`, `"0x10"`, `"1e9"`, `"tomorrow"`, `"2099-13-01 00:00:00"`, `"2099-01-01"`, `"01/02/2099"`,
		`"0001-01-01T00:00:00Z"`, `"0001-01-01 00:00:00"`, `"1969-12-31T23:59:59Z"`, `"2099-01-01 00:00:00 PST"`,
	} {
		d, err := decodeClaims([]byte(`{"e":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.date("e"); err == nil || !got.IsZero() {
			t.Errorf("%s: %s", text, got)
		}
	}
}
