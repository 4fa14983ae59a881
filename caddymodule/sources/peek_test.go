// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// TestPeek protects answers: each is as whole as before it was looked at, and breaks off
// where it did.
func TestPeek(t *testing.T) {
	for name, c := range map[string]struct {
		body, encoding string
		seen           int
		whole          bool
	}{
		"short":        {"abc", "", 3, true},
		"at the bound": {strings.Repeat("x", maxPeek), "", maxPeek, true},
		"long":         {strings.Repeat("x", 3*maxPeek), "", maxPeek + 1, false},
		"compressed":   {"abc", "gzip", 0, false},
		"empty":        {"", "", 0, true},
	} {
		res := &http.Response{Header: http.Header{"Content-Encoding": {c.encoding}}, Body: io.NopCloser(strings.NewReader(c.body))}
		if start, whole := peek(res); len(start) != c.seen || whole != c.whole {
			t.Errorf("%s: %d bytes, whole %t", name, len(start), whole)
		}
		if rest, err := io.ReadAll(res.Body); string(rest) != c.body || err != nil {
			t.Errorf("%s: %d bytes are left of %d, %v", name, len(rest), len(c.body), err)
		}
	}
	broken := errors.New("broken")
	res := &http.Response{Body: io.NopCloser(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken)))}
	if start, whole := peek(res); string(start) != "ab" || whole {
		t.Errorf("a broken answer: %q, whole %t", start, whole)
	}
	if rest, err := io.ReadAll(res.Body); string(rest) != "ab" || !errors.Is(err, broken) {
		t.Errorf("a broken answer has become %q, %v", rest, err)
	}
}
