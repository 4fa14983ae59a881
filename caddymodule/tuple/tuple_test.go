// SPDX-License-Identifier: Apache-2.0

package tuple

import (
	"bytes"
	"testing"
)

// TestEncode protects what is kept: seals and pseudonyms of today open and match
// tomorrow only if the encoding is the same.
func TestEncode(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{[]string{"a", "bc"}, "\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x02bc"},
	} {
		if got := Encode(c.parts...); string(got) != c.want {
			t.Errorf("%q: %q, want %q", c.parts, got, c.want)
		}
	}
}

// FuzzEncode protects one person's row from another's: two tuples that differ
// have encodings that differ.
func FuzzEncode(f *testing.F) {
	f.Add("a", "b", "ab", "")
	f.Add("", "", "", "\x00")
	f.Add("\x00\x00\x00\x00\x00\x00\x00\x01", "a", "", "a")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		same := a == c && b == d
		if bytes.Equal(Encode(a, b), Encode(c, d)) != same {
			t.Errorf("(%q, %q) and (%q, %q)", a, b, c, d)
		}
		if bytes.Equal(Encode(a, b), Encode(a, b, c)) {
			t.Errorf("(%q, %q) and a longer one", a, b)
		}
	})
}
