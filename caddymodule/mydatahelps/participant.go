// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

const (
	maxIdentifier = 256
	maxAnswer     = 1 << 20
	maxListAnswer = 16 << 20 // a hundred participants with all their custom fields
)

// participantRecord is what is read of a participant in the administrative API. Everything
// else is ignored: the platform adds fields without notice.
type participantRecord struct {
	ID           string                     `json:"id"`
	Identifier   string                     `json:"participantIdentifier"`
	WithdrawDate any                        `json:"withdrawDate"`
	CustomFields map[string]json.RawMessage `json:"customFields"`
}

func (p *participantRecord) withdrawn() bool { return p.WithdrawDate != nil }

// field returns a custom field's value; "" if it is unset or no string.
func (p *participantRecord) field(name string) string {
	var value string
	if json.Unmarshal(p.CustomFields[name], &value) != nil {
		return ""
	}
	return value
}

// isGUID reports whether s has the form 8-4-4-4-12 in hexadecimal digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

// isPathSegment reports whether s can be exactly one segment of a path and stays it,
// however often a server on the way decodes and cleans the path.
func isPathSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxIdentifier || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return policy.CheckFolding(s) == nil
}
