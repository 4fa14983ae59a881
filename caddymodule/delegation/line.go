// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsLine reports whether a value is 1 to limit bytes of UTF-8 without control
// characters. U+FFFD is none of them either: parsers write it for whatever they
// cannot read, so that two identifiers would be one.
func IsLine(value string, limit int) bool {
	return value != "" && len(value) <= limit && !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}
