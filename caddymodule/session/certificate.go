// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var errCertificate = errors.New("a certificate is malformed")

// certificateKey returns the public key of an X.509 certificate (RFC 5280
// section 4.1). Nothing else of it is looked at: whose keys these are is known
// by where they come from, and crypto/x509 refuses certificates that issuers
// have, such as those with a negative serial number.
func certificateKey(der []byte) (any, error) {
	text := cryptobyte.String(der)
	var certificate, signed, key cryptobyte.String
	version := asn1.Tag(0).ContextSpecific().Constructed()
	if !text.ReadASN1(&certificate, asn1.SEQUENCE) || !text.Empty() ||
		!certificate.ReadASN1(&signed, asn1.SEQUENCE) ||
		!signed.SkipOptionalASN1(version) ||
		!signed.SkipASN1(asn1.INTEGER) || // serialNumber
		!signed.SkipASN1(asn1.SEQUENCE) || // signature
		!signed.SkipASN1(asn1.SEQUENCE) || // issuer
		!signed.SkipASN1(asn1.SEQUENCE) || // validity
		!signed.SkipASN1(asn1.SEQUENCE) || // subject
		!signed.ReadASN1Element(&key, asn1.SEQUENCE) {
		return nil, errCertificate
	}
	public, err := x509.ParsePKIXPublicKey(key)
	if err != nil {
		return nil, errCertificate // err quotes parts of it
	}
	return public, nil
}
