// SPDX-License-Identifier: Apache-2.0

package headers

import "strings"

// EnvironmentName returns a header's name as servers read it that hand headers on as
// environment variables (CGI, WSGI): X_Token and X.Token are X-Token.
func EnvironmentName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r | 0x20
		default:
			return '-'
		}
	}, name)
}
