// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// minKeyBits is the least an RS256 key may have (RFC 7518 section 3.3).
const minKeyBits = 2048

// ParseKey returns the RSA private key, of at least 2048 bits, of a PEM text: PKCS#1
// (`BEGIN RSA PRIVATE KEY`) or PKCS#8 (`BEGIN PRIVATE KEY`), unencrypted, in any
// form that [delegation.NormalizePEM] reads. Errors say what is wrong and repeat
// nothing of the text.
func ParseKey(text string) (*rsa.PrivateKey, error) {
	block, rest, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if block.Type == "EC PARAMETERS" {
		return nil, errors.New("this is an elliptic-curve key: the platform takes RSA; make one with openssl genrsa -traditional 2048")
	}
	if err := checkAlone(rest); err != nil {
		return nil, err
	}
	key, err := parsePEMBlock(block)
	if err != nil {
		return nil, err
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errEllipticCurve
	}
	if err := checkRSA(rsaKey); err != nil {
		return nil, err
	}
	return rsaKey, nil
}

// decodePEM returns the first block of a PEM text, and what follows it.
func decodePEM(text string) (block *pem.Block, rest []byte, err error) {
	pemText := delegation.NormalizePEM(text)
	if len(bytes.TrimSpace(pemText)) == 0 {
		return nil, nil, errors.New("the key is empty: give the PEM text of a private key")
	}
	if block, rest = pem.Decode(pemText); block != nil {
		return block, rest, nil
	}
	if strings.Contains(text, "-----BEGIN ") {
		return nil, nil, errors.New("the PEM text is damaged: keep it whole, from the BEGIN line to the END line, and keep its line breaks or write them as \\n")
	}
	return nil, nil, errors.New("this is no PEM text: give the key from its BEGIN line to its END line, not only what is between them, and not the name of a file")
}

// checkAlone refuses what follows a key: of two keys it would not be said which counts.
func checkAlone(rest []byte) error {
	if len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("there is more than one PEM block or other text after it: leave the private key alone in it")
	}
	return nil
}

// checkRSA refuses an RSA key that is too small, or damaged.
func checkRSA(key *rsa.PrivateKey) error {
	if bits := key.N.BitLen(); bits < minKeyBits {
		return fmt.Errorf("the RSA key has %d bits: make one of at least %d", bits, minKeyBits)
	}
	if key.Validate() != nil {
		return errors.New("the numbers of the RSA key do not belong together: copy the key again or make a new one")
	}
	return nil
}

// PublicFingerprint returns the SHA-256 of a key's public half, in hexadecimal: of
// the DER inside the PEM text "BEGIN PUBLIC KEY" (SubjectPublicKeyInfo), as
// `openssl pkey -pubin -outform DER | openssl sha256` prints it for a public key
// that is registered at an issuer.
func PublicFingerprint(key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "" // never of an RSA key
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// parsePEMBlock returns the key of a PEM block, of type *rsa.PrivateKey or
// *ecdsa.PrivateKey. It never wraps an error of crypto/x509: some of them print parts
// of the key.
func parsePEMBlock(block *pem.Block) (any, error) {
	errDamaged := errors.New("the contents of the PEM block are damaged: copy the key again or make a new one")
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY", "EC PRIVATE KEY":
		switch {
		case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") || block.Headers["DEK-Info"] != "":
			return nil, errEncrypted
		case block.Type == "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			key, err = x509.ParseECPrivateKey(block.Bytes)
		}
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "EC PARAMETERS":
		return nil, errors.New("these are the parameters of an elliptic curve: give the private key")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("this is a public key, which belongs to the platform: give its private key here")
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return nil, errors.New("this is a certificate: give its private key")
	case "OPENSSH PRIVATE KEY":
		return nil, errors.New("this is an OpenSSH key: convert it with `ssh-keygen -p -m PEM`, or make one with `openssl genrsa`")
	default:
		return nil, errors.New("the PEM block is no private key: it has to begin with BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY")
	}
	if err != nil {
		return nil, errDamaged
	}
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return nil, errors.New("this is an Ed25519 key, which the platform does not take: make an RSA key with openssl genrsa 2048")
	default:
		return nil, errors.New("this is a key of a kind that the platform does not take: make an RSA key with openssl genrsa 2048")
	}
}

var (
	errEncrypted     = errors.New("the key is encrypted: decrypt it with `openssl pkey`, and let only this server read the result")
	errEllipticCurve = errors.New("this is an elliptic-curve key: the platform takes RSA keys only")
)
