// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Fingerprint returns the SHA-256 over lists of settings, in hexadecimal. Every
// string and list is written with its length, so that no two different ones are
// written the same way.
func Fingerprint(lists ...[]string) string {
	h := sha256.New()
	for _, list := range lists {
		fmt.Fprintf(h, "%d:", len(list))
		for _, s := range list {
			fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
