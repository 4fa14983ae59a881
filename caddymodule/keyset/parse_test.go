// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/prf"
)

// TestParse protects against keys that are too weak, or of another use, and
// against a file whose rotation nobody could tell.
func TestParse(t *testing.T) {
	aes, hmac := aead.AES256GCMKeyTemplate(), prf.HMACSHA256PRFKeyTemplate()
	text := func(seal, name json.RawMessage) string {
		return fmt.Sprintf(`{"seal": %s, "name": %s}`, seal, name)
	}
	s, n := handle(t, 0, aes), handle(t, 0, hmac)
	disabled := strings.Replace(string(handle(t, 0, aes, aes)), "ENABLED", "DISABLED", 2)
	disabled = strings.Replace(disabled, "DISABLED", "ENABLED", 1)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"as tink writes it":      {text(s, n), nil},
		"line breaks around":     {"\n" + text(s, n) + "\r\n\n", nil},
		"staged":                 {text(handle(t, 0, aes, aes), handle(t, 0, hmac, hmac)), nil},
		"promoted":               {text(handle(t, 1, aes, aes), handle(t, 1, hmac, hmac)), nil},
		"empty":                  {"", errNotKeyset},
		"placeholder":            {"{file./x}", errNotKeyset},
		"pem":                    {"-----BEGIN PRIVATE KEY-----", errNotKeyset},
		"cut":                    {text(s, n)[:100], errNotKeyset},
		"more behind":            {text(s, n) + "{}", errNotKeyset},
		"one of tink":            {string(s), errNotKeyset},
		"only seal":              {fmt.Sprintf(`{"seal": %s}`, s), errNotKeyset},
		"null":                   {text(json.RawMessage("null"), n), errDamaged},
		"no keys":                {text(s, json.RawMessage("{}")), errDamaged},
		"key altered":            {strings.Replace(text(s, n), `"value":`, `"value":"AAAA","x":`, 1), errDamaged},
		"staged in one":          {text(handle(t, 0, aes, aes), handle(t, 1, hmac, hmac)), errDamaged},
		"two behind the primary": {text(handle(t, 0, aes, aes, aes), handle(t, 0, hmac, hmac, hmac)), errDamaged},
		"staged key disabled":    {text(json.RawMessage(disabled), handle(t, 0, hmac, hmac)), errDamaged},
		"the wrong way round":    {text(n, s), errOtherKind},
		"aes 128":                {text(handle(t, 0, aead.AES128GCMKeyTemplate()), n), errOtherKind},
		"aes without prefix":     {text(handle(t, 0, aead.AES256GCMNoPrefixKeyTemplate()), n), errOtherKind},
		"aes ctr":                {text(handle(t, 0, aead.AES256CTRHMACSHA256KeyTemplate()), n), errOtherKind},
		"weak old key":           {text(handle(t, 1, aead.AES128GCMKeyTemplate(), aes), n), errOtherKind},
		"cmac":                   {text(s, handle(t, 0, prf.AESCMACPRFKeyTemplate())), errOtherKind},
		"sha 512":                {text(s, handle(t, 0, prf.HMACSHA512PRFKeyTemplate())), errOtherKind},
		"mac":                    {text(s, handle(t, 0, mac.HMACSHA256Tag256KeyTemplate())), errOtherKind},
		"unknown kind":           {strings.Replace(text(s, n), "AesGcmKey", "NoSuchKey", 1), errOtherKind},
	} {
		k, err := Parse(c.text)
		if err != c.want || (k == nil) != (err != nil) { //nolint:errorlint // it must be this one and no wrapping, which could quote
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// FuzzParse protects the loading of a configuration from a file gone wrong,
// and the log from the file: no panic, and no error but the fixed ones. What
// parses seals, and survives being written.
func FuzzParse(f *testing.F) {
	k := generate(f)
	for range 4 {
		text, err := k.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		next := k.Stage
		if k.Staged() {
			next = k.Promote
		}
		if err := next(); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(`{"seal":null,"name":{}}`)
	f.Add(fmt.Sprintf(`{"seal":%s,"name":%[1]s}`, handle(f, 0, prf.AESCMACPRFKeyTemplate(), aead.AES128CTRHMACSHA256KeyTemplate())))
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(text)
		if err != nil {
			if !slices.Contains([]error{errNotKeyset, errDamaged, errOtherKind}, err) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		other := load(t, k)
		if got, err := other.Open(seal(t, k, "x"), []byte("row")); err != nil || string(got) != "x" {
			t.Fatalf("opened %q, %v", got, err)
		}
		if other.Fingerprint() != k.Fingerprint() || other.Staged() != k.Staged() {
			t.Fatal("writing it made another keyset of it")
		}
	})
}
