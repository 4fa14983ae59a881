// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	errMalformed   = errors.New("a public key is malformed: copy it again")
	errCertificate = errors.New("a certificate is malformed")
)

// publicKey returns the key of a PEM block: SPKI, PKCS #1 or a certificate. The
// errors quote nothing of it, as those of crypto/x509 do.
func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errMalformed
		}
		return key, nil
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, errMalformed
		}
		return key, nil
	case "CERTIFICATE", "X509 CERTIFICATE":
		return certificateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block is a %s: only public keys and certificates belong here", block.Type)
	}
}

// certificateKey returns the public key of an X.509 certificate in DER (RFC 5280
// section 4.1). Nothing else of it is looked at, not even its dates: the keys are
// trusted because of where they come from, and crypto/x509 refuses certificates
// that issuers have, such as those with a negative serial number.
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
