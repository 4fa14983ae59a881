// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"encoding/base64"

	"golang.org/x/crypto/blake2b"
)

// digest is the key of a credential in a cache. Whoever reads the memory finds no
// session that works.
type digest [blake2b.Size256]byte

// credentialHasher makes digests by a random key, so that nobody can search for two
// credentials with the same digest.
type credentialHasher struct{ key [32]byte }

func newCredentialHasher() *credentialHasher {
	h := new(credentialHasher)
	_, _ = rand.Read(h.key[:]) // never fails
	return h
}

// digest covers the credential and where it came from: what counts in a header need
// not in a cookie.
func (h *credentialHasher) digest(credential Credential) digest {
	var space [2048]byte                                                 // enough for most, without an allocation
	b := append(append(space[:0], h.key[:]...), byte(credential.Source)) //nolint:gosec // there are two
	if credential.CookieHeader != "" {
		// The app is sent this header: with other chunks it may be another session.
		return blake2b.Sum256(append(append(b, 0), credential.CookieHeader...))
	}
	return blake2b.Sum256(append(b, credential.Text...))
}

// sessionDigest names a session that has no `sid`, to other machines. It is the
// same on all of them: base64url of BLAKE2b-256.
func sessionDigest(credential string) string {
	sum := blake2b.Sum256([]byte(credential))
	return encodeDigest(sum[:])
}

// encodeDigest returns a digest as text.
func encodeDigest(digest []byte) string { return base64.RawURLEncoding.EncodeToString(digest) }
