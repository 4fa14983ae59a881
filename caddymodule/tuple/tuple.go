// SPDX-License-Identifier: Apache-2.0

// Package tuple encodes several texts as one, so that no two tuples have the
// same encoding. It is what seals are bound to and what pseudonyms are made of:
// without the lengths ("a", "b") and ("ab", "") would be the same, and whoever
// chooses one part could take the place of another.
package tuple

import "encoding/binary"

// Encode returns the parts one after the other, each behind its length in bytes
// as 8 bytes, big-endian. The encoding is kept in databases, in Redis and in the
// pseudonyms of both: it must not change.
func Encode(parts ...string) []byte {
	size := 0
	for _, part := range parts {
		size += 8 + len(part)
	}
	b := make([]byte, 0, size)
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	return b
}
