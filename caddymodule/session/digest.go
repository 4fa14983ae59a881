// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"encoding/base64"

	"golang.org/x/crypto/blake2b"
)

// digest stands for a credential. Whoever reads the memory finds no session
// that works.
type digest [blake2b.Size256]byte

// credentialHasher are keyed: nobody can look for two credentials with the same one.
type credentialHasher struct{ key [32]byte }

func newCredentialHasher() *credentialHasher {
	d := new(credentialHasher)
	_, _ = rand.Read(d.key[:]) // never fails
	return d
}

func (d *credentialHasher) digest(credential Credential) digest {
	var space [2048]byte                                                 // enough for most, without an allocation
	b := append(append(space[:0], d.key[:]...), byte(credential.Source)) //nolint:gosec // there are two
	if credential.CookieHeader != "" {
		// Whoever is asked is sent this: cut elsewhere it may be another session.
		return blake2b.Sum256(append(append(b, 0), credential.CookieHeader...))
	}
	return blake2b.Sum256(append(b, credential.Text...))
}

// sessionDigest names a session that its issuer has no name for. It is text, to be
// told to other machines.
func sessionDigest(credential string) string {
	sum := blake2b.Sum256([]byte(credential))
	return encodeDigest(sum[:])
}

func encodeDigest(digest []byte) string { return base64.RawURLEncoding.EncodeToString(digest) }
