// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// accountKeys reads the registered keys and makes a pair if asked to.
func accountKeys(publicFiles []string, privateFile string) ([]*rsa.PublicKey, error) {
	if len(publicFiles) == 0 && privateFile == "" {
		return nil, errors.New("the service account needs a key: give --public-key <file>, or --private-key-out <file> to have a pair made")
	}
	var keys []*rsa.PublicKey
	for _, file := range publicFiles {
		key, err := readPublicKey(file)
		if err != nil {
			return nil, fmt.Errorf("--public-key: %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	if privateFile != "" {
		key, err := privateKey(privateFile)
		if err != nil {
			return nil, fmt.Errorf("--private-key-out: %s: %w", privateFile, err)
		}
		keys = append(keys, &key.PublicKey)
	}
	return keys, nil
}

func readPEM(file string) (*pem.Block, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("holds no PEM block")
	}
	return block, nil
}

func readPublicKey(file string) (*rsa.PublicKey, error) {
	block, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		return rsaKey(key)
	}
	return nil, fmt.Errorf("is a %s, want a public key", block.Type)
}

func rsaKey(key any) (*rsa.PublicKey, error) {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("is a %T, want an RSA key", key)
	}
	return k, nil
}

// privateKey reads the file, or makes it if there is none, in the form in
// which the platform hands keys out.
func privateKey(file string) (*rsa.PrivateKey, error) {
	block, err := readPEM(file)
	if err == nil {
		if block.Type != "RSA PRIVATE KEY" {
			return nil, fmt.Errorf("is there already and is a %s, want an RSA PRIVATE KEY or no file", block.Type)
		}
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(f, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if e := f.Close(); err == nil {
		err = e
	}
	return key, err
}
