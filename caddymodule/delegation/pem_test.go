// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"encoding/pem"
	"strings"
	"testing"
)

// TestTrimSecret protects operators from a secret that is another one than they
// see: what is left out is what nobody means, and all that is odd is told.
func TestTrimSecret(t *testing.T) {
	for text, want := range map[string]struct {
		secret string
		told   []string
	}{
		"s3cret":             {"s3cret", nil},
		"two words":          {"two words", nil},
		`it's "quoted"`:      {`it's "quoted"`, nil},
		"s3cret\n":           {"s3cret", []string{"line breaks"}},
		"\r\ns3cret\r\n":     {"s3cret", []string{"line breaks"}},
		"\uFEFFs3cret":       {"s3cret", []string{"byte order mark"}},
		" s3cret":            {" s3cret", []string{"white space"}},
		"s3cret\t":           {"s3cret\t", []string{"white space"}},
		"s3cret\u00a0":       {"s3cret\u00a0", []string{"white space"}},
		"s3cret \n":          {"s3cret ", []string{"line breaks", "white space"}},
		`"s3cret"`:           {`"s3cret"`, []string{"quotes"}},
		`'s3cret'`:           {`'s3cret'`, []string{"quotes"}},
		`s3cret\n`:           {`s3cret\n`, []string{"backslash"}},
		"\uFEFF\"s3cret\"\n": {`"s3cret"`, []string{"byte order mark", "line breaks", "quotes"}},
		"\n":                 {"", []string{"line breaks"}},
		"":                   {"", nil},
	} {
		secret, odd := TrimSecret(text)
		if secret != want.secret || (odd == "") != (want.told == nil) {
			t.Errorf("%q: %q, %q", text, secret, odd)
		}
		for _, part := range want.told {
			if !strings.Contains(odd, part) {
				t.Errorf("%q: %q does not tell of %s", text, odd, part)
			}
		}
		if strings.Contains(odd, "s3cret") {
			t.Errorf("%q: the secret is told", text)
		}
	}
}

// TestPrintable protects the log from names that others choose.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"k1": "k1", "a\nb\x00\x7f": "a?b??", "\u2028": "?", "\xff": "?", "0123456789": "01234567…", "0123456ä": "0123456…",
	} {
		if got := Printable(text, 8); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// FuzzPEM looks for blocks that are lost or altered by what makes them readable.
func FuzzPEM(f *testing.F) {
	f.Add([]byte("key"), `\n`, " ")
	f.Add([]byte{}, "\r\n", "\uFEFF")
	f.Fuzz(func(t *testing.T, content []byte, lineBreak, around string) {
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: content}))
		switch lineBreak {
		case `\n`, `\r\n`, "\r\n", "\n", " \n\t":
			text = strings.ReplaceAll(text, "\n", lineBreak)
		}
		switch around {
		case " ", "\uFEFF", "\n\n", `"`, "'", "\t":
			text = around + text + strings.TrimPrefix(around, "\uFEFF")
		}
		block, rest := pem.Decode(NormalizePEM(text))
		if block == nil || string(block.Bytes) != string(content) || len(rest) > 0 {
			t.Errorf("%q is not read", text)
		}
		NormalizePEM(lineBreak + around)
	})
}
