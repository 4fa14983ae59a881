// SPDX-License-Identifier: Apache-2.0

package delegation

// IsScope reports whether a text is one scope token (RFC 6749 section 3.3):
// at least one character, all of them visible ASCII except `"` and `\`.
func IsScope(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return text != ""
}
