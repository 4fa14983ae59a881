// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs1(key *rsa.PrivateKey) string {
	return pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("PRIVATE KEY", der)
}

// Operators paste keys in whatever shape their secret store gives them; the
// commonest trouble of the vendor's samples is a key whose line breaks were lost.
func TestParseKeyShapes(t *testing.T) {
	one := pkcs1(testKey())
	for name, text := range map[string]string{
		"PKCS#1":               one,
		"PKCS#8":               pkcs8(t, testKey()),
		"no final line break":  strings.TrimSpace(one),
		"CR LF":                strings.ReplaceAll(one, "\n", "\r\n"),
		`literal \n`:           strings.ReplaceAll(one, "\n", `\n`),
		`literal \r\n`:         strings.ReplaceAll(one, "\n", `\r\n`),
		"quoted":               `"` + strings.ReplaceAll(one, "\n", `\n`) + `"`,
		"single-quoted, space": " \n'" + one + "'\t\n",
		"text before":          "Bag Attributes\n    friendlyName: proxy\n" + one,
	} {
		t.Run(name, func(t *testing.T) {
			key, err := ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if !key.Equal(testKey()) {
				t.Error("another key")
			}
		})
	}
}

// A wrong key has to be named for what it is, and no part of it may get into
// an error: errors end up in logs.
func TestParseKeyRefusals(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	one := pkcs1(testKey())
	wrong := x509.MarshalPKCS1PrivateKey(&rsa.PrivateKey{
		PublicKey: testKey().PublicKey, D: testKey().D,
		Primes: testKey().Primes,
	})
	wrong[len(wrong)/3] ^= 1
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {" \n", "empty"},
		"quotes only":      {`""`, "empty"},
		"file name":        {"/run/secrets/planted-name.pem", "no PEM text"},
		"base64 only":      {strings.Join(strings.Split(one, "\n")[1:5], "\n"), "no PEM text"},
		"one line":         {strings.ReplaceAll(one, "\n", " "), "line breaks"},
		"cut off":          {one[:len(one)/2], "whole"},
		"PKCS#1 encrypted": {string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("planted")})), "encrypted"},
		"PKCS#8 encrypted": {pemText("ENCRYPTED PRIVATE KEY", []byte("planted")), "encrypted"},
		"EC":               {pemText("EC PRIVATE KEY", sec1), "elliptic"},
		"EC in PKCS#8":     {pkcs8(t, curve), "elliptic"},
		"Ed25519":          {pkcs8(t, edwards), "Ed25519"},
		"public":           {pemText("PUBLIC KEY", public), "public key"},
		"public PKCS#1":    {pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&testKey().PublicKey)), "public key"},
		"certificate":      {pemText("CERTIFICATE", []byte("planted")), "certificate"},
		"OpenSSH":          {pemText("OPENSSH PRIVATE KEY", []byte("planted")), "OpenSSH"},
		"another block":    {pemText("MESSAGE", []byte("planted")), "no private key"},
		"1024 bits":        {pkcs1(small), "1024 bits"},
		"damaged PKCS#1":   {pemText("RSA PRIVATE KEY", []byte("planted")), "damaged"},
		"damaged PKCS#8":   {pemText("PRIVATE KEY", []byte("planted")), "damaged"},
		"wrong numbers":    {pemText("RSA PRIVATE KEY", wrong), ""},
		"two keys":         {one + pkcs1(small), "more than one"},
		"key and chain":    {one + pemText("CERTIFICATE", []byte("planted")), "more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKey(c.text)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
			for line := range strings.SplitSeq(c.text, "\n") {
				if line = strings.TrimSpace(line); len(line) > 8 && !strings.HasPrefix(line, "---") && strings.Contains(err.Error(), line) {
					t.Errorf("%q repeats the input", err)
				}
			}
			if bytes.Contains([]byte(err.Error()), []byte("planted")) {
				t.Errorf("%q repeats the input", err)
			}
		})
	}
}
