// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Member is the identity that makes a request one member's. The three values belong
// together: the platform accepts no other combination.
type Member struct {
	// UID is the member's number at Mydex, such as 4020.
	UID string

	// ConnectionID is the member's connection with the operator: the uid, a
	// hyphen, and the NID of the operator's dedicated connection.
	ConnectionID string

	// Key is the member key, which the platform cannot recover. It is not the
	// dedicated connection's token, whose name is nearly that of the header that
	// this one is sent in.
	Key delegation.Secret
}

// The causes name no value: they go into the operator's log.
var (
	errUID          = errors.New("the member's uid is missing, or holds something other than letters, digits, - and _")
	errConnectionID = errors.New("the member's connection_id is missing, or holds something other than letters, digits, - and _")
	errKey          = errors.New("the member key is missing, or holds a space or a character that no header may carry")
)

// Check refuses a member that cannot be put on a request. What it lets pass needs
// no escaping in a path, and can neither end a segment nor begin a parameter or a
// header. Its error holds none of the values.
func (m Member) Check() error {
	switch {
	case !isID(m.UID):
		return errUID
	case !isID(m.ConnectionID):
		return errConnectionID
	case !isKey(m.Key.Reveal()):
		return errKey
	default:
		return nil
	}
}

// equal compares two members, their keys in constant time.
func (m Member) equal(other Member) bool {
	return m.UID == other.UID && m.ConnectionID == other.ConnectionID && m.Key.Equal(other.Key)
}

func isID(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func isKey(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
