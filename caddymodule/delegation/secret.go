// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a string that does not print. Every way of formatting, logging or
// marshalling it says REDACTED; only Reveal returns the value. The zero Secret
// is the empty string.
type Secret struct {
	// A pointer, because fmt ignores the methods of values it reaches through
	// an unexported field and would print a string held here in clear.
	value *string
}

// NewSecret returns a Secret holding v.
func NewSecret(v string) Secret {
	return Secret{value: &v}
}

// Reveal returns the value. Call it where the value goes on the wire, nowhere else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Equal reports whether two secrets are equal, in a time that tells nothing of
// their values.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Fingerprint tells secrets of one purpose apart without holding them: a SHA-256 in
// hexadecimal.
func (s Secret) Fingerprint(purpose string) string {
	sum := sha256.Sum256([]byte(purpose + "\x00" + s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// String returns REDACTED.
func (Secret) String() string { return redacted }

// GoString returns REDACTED.
func (Secret) GoString() string { return redacted }

// Format writes REDACTED for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns REDACTED.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "REDACTED".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue returns REDACTED.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
