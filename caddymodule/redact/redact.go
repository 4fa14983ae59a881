// SPDX-License-Identifier: Apache-2.0

// Package redact masks secrets in the responses of a server that was sent them,
// such as an error page that repeats the address it was requested by.
package redact

import (
	"io"
	"slices"
)

// Secrets are the values to mask. The zero value masks nothing; it is safe for
// concurrent use.
type Secrets struct {
	suffixes [256][]string // the ends of the values that are worth masking, by their first byte
	nonEmpty bool
}

// minPiece is the number of characters of a secret that must not be seen in one
// piece: a shorter piece at its end is not worth masking, and would be found by
// chance in any text.
const minPiece = 12

// New returns the secrets to mask. Empty ones are left out.
func New(values ...string) *Secrets {
	s := new(Secrets)
	for _, value := range values {
		for i := range value {
			if i == 0 || len(value)-i >= minPiece {
				s.suffixes[value[i]] = append(s.suffixes[value[i]], value[i:])
				s.nonEmpty = true
			}
		}
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
// lengths and ranges stay as they are. Bytes that may be the start of a secret
// are held back until more is read; all else is passed on at once.
//
// A secret is found in all spellings in which programs repeat what they were
// sent: as it is; percent-encoded, once or several times; in HTML (&#47; &#x2f;
// &sol;); in JSON (\u002f \/); in UTF-16 or UTF-32; and in any mixture of
// these. So is one that was cut off, if half of it is there.
func (s *Secrets) Reader(body io.ReadCloser) io.ReadCloser {
	return &redactingReader{ReadCloser: body, secrets: s}
}

// redactingReader is [Secrets.Reader].
type redactingReader struct {
	io.ReadCloser
	secrets *Secrets
	buf     []byte // read and not passed on yet
	ready   int    // how many of its bytes can be passed on
	err     error
}

// readSize is the most bytes that one call of Read reads of the body.
const readSize = 8 << 10

// Read implements [io.Reader].
func (r *redactingReader) Read(p []byte) (int, error) {
	for r.ready == 0 && r.err == nil {
		held := len(r.buf)
		if cap(r.buf)-held < readSize {
			r.buf = append(make([]byte, 0, held+2*readSize), r.buf...)
		}
		var n int
		n, r.err = r.ReadCloser.Read(r.buf[held : held+readSize])
		r.buf = r.buf[:held+n]
		r.ready = r.secrets.mask(r.buf, r.err != nil)
	}
	n := copy(p, r.buf[:r.ready])
	r.buf, r.ready = r.buf[n:], r.ready-n
	if len(r.buf) == 0 && r.err != nil {
		return n, r.err
	}
	return n, nil
}

// mask overwrites the secrets in p. It returns how many of its bytes can be
// passed on: all of them if p is the end of the text.
func (s *Secrets) mask(p []byte, end bool) int {
	var buf [2 * maxSlashes]decodedChar
	for i := 0; i < len(p); {
		if len(s.suffixes[p[i]]) == 0 && (!s.nonEmpty || !startsEscape(p[i])) {
			i++
			continue
		}
		readings, open := decodeChar(p[i:], buf[:0])
		if open && !end {
			return i
		}
		longest := 0
		for _, r := range readings {
			for _, run := range s.suffixes[r.c] {
				if secondByteDiffers(p[i+r.n:], run) {
					continue
				}
				n, found, open := match(p[i+r.n:], run)
				if open && !end {
					return i
				}
				if found >= min(minPiece, len(run)) {
					longest = max(longest, r.n+n)
				}
			}
		}
		for k := range longest {
			p[i+k] = '*'
		}
		i += max(longest, 1)
	}
	return len(p)
}

// secondByteDiffers is a quick test for most texts: what follows the first
// character of a suffix in p is neither its second one nor the start of an
// escape.
func secondByteDiffers(p []byte, run string) bool {
	return len(p) > 0 && len(run) > 1 && p[0] != run[1] && !startsEscape(p[0]) && p[0] != 0 && !startsLineBreak(p[0])
}

// match compares p, which follows the first character of a suffix, with the
// rest of the suffix. found is how many characters of the suffix are there,
// with the first; n is how many bytes of p they have. open reports that p ended
// before they differed.
//
// A percent sign, an ampersand or a backslash may be itself or start an escape:
// all readings are followed.
func match(p []byte, run string) (n, found int, open bool) {
	var here, there [8]int
	var buf [2 * maxSlashes]decodedChar
	at, next := append(here[:0], 0), there[:0]
	longer := false // the last character's spelling may go on
	for found = 1; found < len(run); found++ {
		next, longer = next[:0], false
		for _, start := range at {
			zeros := start
			for zeros < len(p) && zeros < start+3 && p[zeros] == 0 { // UTF-16 and UTF-32
				zeros++
			}
			breakLen, cut := lineBreak(p[zeros:])
			open = open || cut
			for _, from := range []int{zeros, zeros + breakLen} {
				readings, more := decodeChar(p[from:], buf[:0])
				open, longer = open || more, longer || more
				for _, r := range readings {
					if end := from + r.n; r.c == run[found] && !slices.Contains(next, end) {
						next = append(next, end)
					}
				}
			}
		}
		if len(next) == 0 {
			return n, found, open
		}
		at, next = next, at
		n = slices.Max(at)
	}
	return n, found, longer
}
