// SPDX-License-Identifier: Apache-2.0

// Package redact hides secrets in what a server answers that has been told
// them, such as an error page that repeats the address it was called by.
package redact

import (
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Secrets are values that must not be seen. The zero value hides nothing; it is
// safe for concurrent use.
type Secrets struct {
	values []string
	starts [256]bool // what a value can begin with, however it is written
}

// New returns the secrets to hide. Empty ones are left out.
func New(values ...string) *Secrets {
	s := new(Secrets)
	for _, value := range values {
		if value == "" {
			continue
		}
		s.values = append(s.values, value)
		s.starts[value[0]] = true
	}
	for _, c := range []byte(`%&\`) {
		s.starts[c] = len(s.values) > 0
	}
	return s
}

// Text returns a text with an asterisk for every byte of a secret.
func (s *Secrets) Text(text string) string {
	out := []byte(text)
	s.mask(out, true)
	return string(out)
}

// Reader returns body with an asterisk for every byte of a secret, so that
// lengths and ranges stay what they are. Only what may be the beginning of a
// secret is held back until more is read.
//
// A secret is found in all ways that programs write it when they repeat what
// they were sent: as it is; percent-encoded, once or several times; as HTML
// has it (&#47; &#x2f; &sol;); as JSON has it (\u002f \/); in UTF-16 or UTF-32; and
// in any mixture of these. So is one that was cut off, if half of it is there.
func (s *Secrets) Reader(body io.ReadCloser) io.ReadCloser {
	return &reader{ReadCloser: body, secrets: s}
}

type reader struct {
	io.ReadCloser
	secrets *Secrets
	buf     []byte // read, and not handed on yet
	clean   int    // how much of it may be
	err     error
}

const readSize = 8 << 10

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	for r.clean == 0 && r.err == nil {
		held := len(r.buf)
		if cap(r.buf)-held < readSize {
			r.buf = append(make([]byte, 0, held+2*readSize), r.buf...)
		}
		var n int
		n, r.err = r.ReadCloser.Read(r.buf[held : held+readSize])
		r.buf = r.buf[:held+n]
		r.clean = r.secrets.mask(r.buf, r.err != nil)
	}
	n := copy(p, r.buf[:r.clean])
	r.buf, r.clean = r.buf[n:], r.clean-n
	if len(r.buf) == 0 && r.err != nil {
		return n, r.err
	}
	return n, nil
}

// mask overwrites the secrets in p and returns how much of it can be handed on:
// all, if it is the end.
func (s *Secrets) mask(p []byte, end bool) int {
	for i := 0; i < len(p); {
		if !s.starts[p[i]] {
			i++
			continue
		}
		longest := 0
		for _, value := range s.values {
			n, found, open := match(p[i:], value)
			if open && !end {
				return i
			}
			if found == len(value) || found >= max(half, len(value)/2) {
				longest = max(longest, n)
			}
		}
		for k := range longest {
			p[i+k] = '*'
		}
		i += max(longest, 1)
	}
	return len(p)
}

// half is what at least must be there of a secret that was cut off.
const half = 12

// match compares the beginning of p with a value: found bytes of it are the
// first n of p. open says that p ended before they differed.
//
// A percent sign, an ampersand or a backslash of the value may be written as it
// is or escaped, which begins the same: every reading is followed.
func match(p []byte, value string) (n, found int, open bool) {
	at, next := []int{0}, []int(nil)
	for found < len(value) {
		next = next[:0]
		for _, start := range at {
			zeros := start
			for found > 0 && zeros < len(p) && zeros < start+3 && p[zeros] == 0 { // UTF-16 and UTF-32
				zeros++
			}
			lengths, more := spellings(p[zeros:], value[found])
			open = open || more
			for _, length := range lengths {
				if end := zeros + length; !slices.Contains(next, end) {
					next = append(next, end)
				}
			}
		}
		if len(next) == 0 {
			return n, found, open
		}
		at, next, found = next, at, found+1
		n = slices.Max(at)
	}
	return n, found, false
}

// Bounds of one byte's spelling, so that little is held back.
const (
	maxEscapes   = 4  // %2525…
	maxSlashes   = 8  // \\\\…
	maxReference = 12 // &…;
)

// spellings returns how long c is at the beginning of p, as it is and escaped;
// nothing if it is not there. open says that p ended too early to tell.
func spellings(p []byte, c byte) (lengths []int, open bool) {
	if len(p) == 0 {
		return nil, true
	}
	if p[0] == c {
		lengths = one
	}
	switch p[0] {
	case '%':
		return percent(p, c, lengths)
	case '&':
		return reference(p, c, lengths)
	case '\\':
		return slashes(p, c, lengths)
	default:
		return lengths, false
	}
}

var one = []int{1}[:1:1]

func percent(p []byte, c byte, lengths []int) ([]int, bool) {
	for k := 1; k < 1+2*maxEscapes; k += 2 {
		b, ok, open := hexByte(p[k:], 2)
		if !ok {
			return lengths, open
		}
		if b == c {
			lengths = append(lengths, k+2)
		}
		if b != '%' {
			break
		}
	}
	return lengths, false
}

func reference(p []byte, c byte, lengths []int) ([]int, bool) {
	for k := 1; k < len(p); k++ {
		switch {
		case p[k] == ';':
			if html.UnescapeString(string(p[:k+1])) == string(rune(c)) {
				lengths = append(lengths, k+1)
			}
			return lengths, false
		case k == maxReference || p[k] != '#' && !alphanumeric(p[k]):
			return lengths, false
		}
	}
	return lengths, true
}

func slashes(p []byte, c byte, lengths []int) ([]int, bool) {
	k := 1
	for k < len(p) && k < maxSlashes && p[k] == '\\' {
		k++
		if c == '\\' {
			lengths = append(lengths, k)
		}
	}
	if k == len(p) {
		return lengths, true
	}
	open := false
	if digits := map[byte]int{'u': 4, 'U': 8, 'x': 2}[p[k]]; digits > 0 {
		var b byte
		var ok bool
		if b, ok, open = hexByte(p[k+1:], digits); ok && b == c {
			lengths = append(lengths, k+1+digits)
		}
	}
	if p[k] == c {
		lengths = append(lengths, k+1)
	}
	return lengths, open
}

// hexByte reads a number of hexadecimal digits that is at most 255.
func hexByte(p []byte, digits int) (b byte, ok, open bool) {
	text := string(p[:min(len(p), digits)])
	if strings.Trim(text, "0123456789abcdefABCDEF") != "" {
		return 0, false, false
	}
	if len(text) < digits {
		return 0, false, true
	}
	v, err := strconv.ParseUint(text, 16, 8)
	return byte(v), err == nil, false
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
