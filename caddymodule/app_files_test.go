// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLastEnd protects operators from a status that stays red after they have done what
// it says: a new authority stands beside the old one, which ends.
func TestLastEnd(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	var text []byte
	for _, ends := range []time.Time{now.Add(-time.Hour), now.AddDate(5, 0, 0), now.Add(time.Hour)} {
		authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-1, 0, 0), NotAfter: ends}
		der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := (settingFile{"ca_file", file, true}).status(); !got.Ends.Equal(now.AddDate(5, 0, 0)) || got.Cause != "" {
		t.Errorf("%+v", got)
	}
}
