// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestTokenSettingsJSON protects operators of earlier versions: a setting that
// was removed is refused with what to do instead, an unknown one as everywhere.
func TestTokenSettingsJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"renew_at":0.75}`:              "renew_at is no setting any more: remove it",
		`{"max_waiting":10000}`:          "max_waiting is no setting any more: remove it",
		`{"max_waiting_per_person":500}`: "max_waiting_per_person is no setting any more: remove it",
		`{"renew":1}`:                    `unknown field "renew"`,
	} {
		if err := json.Unmarshal([]byte(text), new(TokenSettings)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	var s TokenSettings
	if err := json.Unmarshal([]byte(`{"timeout":5000000000,"concurrency":8,"max_entries":10}`), &s); err != nil ||
		time.Duration(s.Timeout) != 5*time.Second || s.Concurrency != 8 || s.MaxEntries != 10 {
		t.Errorf("%+v, %v", s, err)
	}
}
