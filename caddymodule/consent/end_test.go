// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"testing"
	"time"
)

// TestParseEnd protects participants from consents that outlive their study because its
// end was read as another time, or as none.
func TestParseEnd(t *testing.T) {
	want := time.Date(2027, 6, 30, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"2027-06-30T12:00:00Z", "2027-06-30T14:00:00+02:00", "1814356800"} {
		if at, err := ParseEnd(value); err != nil || !at.Equal(want) {
			t.Errorf("%s: %v, %v", value, at, err)
		}
	}
	for _, value := range []string{"", " ", "0", "-1", "never", "2027-06-30", "2027-06-30 12:00:00", "1814356800000", "1814356800.5", "1.8143568e9", "{http.auth.user.study_end}"} {
		if at, err := ParseEnd(value); err == nil || !at.IsZero() {
			t.Errorf("%q: %v", value, at)
		}
	}
}
