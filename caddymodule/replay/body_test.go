// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

func filter(t *testing.T) *headers.RequestFilter {
	t.Helper()
	f, err := headers.NewRequestFilter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRead protects memory from large bodies, and every replay from a body that
// is not the first one's: what can be sent again is sent whole each time.
func TestRead(t *testing.T) {
	large := strings.Repeat("x", MaxSize+1)
	for name, c := range map[string]struct {
		method     string
		body       string
		length     int64
		replayable bool
		sent       int64 // the length that is sent
	}{
		"none":                      {"GET", "", 0, true, 0},
		"small":                     {"POST", "hello", 5, true, 5},
		"at the bound":              {"POST", large[1:], MaxSize, true, MaxSize},
		"large":                     {"POST", large, MaxSize + 1, false, MaxSize + 1},
		"unannounced":               {"POST", "hello", -1, false, -1},
		"unannounced of GET":        {"GET", "hello", -1, true, 5},
		"unannounced, none":         {"GET", "", -1, true, 0},
		"unannounced of GET, large": {"DELETE", large, -1, false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			from := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			from.ContentLength = c.length
			b, err := Read(from, filter(t))
			if err != nil || b.Replayable() != c.replayable {
				t.Fatalf("%+v, %v", b, err)
			}
			for range 2 {
				out := from.Clone(t.Context())
				b.SetOn(out, from)
				got, err := io.ReadAll(out.Body)
				if string(got) != c.body || err != nil || out.ContentLength != c.sent || len(out.TransferEncoding) != 0 {
					t.Errorf("%d bytes, %v, length %d, encoding %v", len(got), err, out.ContentLength, out.TransferEncoding)
				}
				if !c.replayable {
					break
				}
			}
			if b.ReadError() != nil || b.PartlySent() {
				t.Errorf("error %v, partly sent %t", b.ReadError(), b.PartlySent())
			}
		})
	}
}

// TestReadErrors protects the upstream from being blamed for a client that breaks
// off, also where HTTP/3's reader says that all has arrived.
func TestReadErrors(t *testing.T) {
	gone := errors.New("gone")
	from := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("12"), iotest.ErrReader(gone)))
	from.ContentLength = 5
	if _, err := Read(from, filter(t)); !errors.Is(err, gone) {
		t.Errorf("a small body: %v", err)
	}
	for name, c := range map[string]struct {
		rest io.Reader
		want error
	}{"broken off": {iotest.ErrReader(gone), gone}, "too short": {strings.NewReader(""), io.ErrUnexpectedEOF}} {
		from := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("12"), c.rest))
		from.ContentLength = MaxSize + 1
		b, err := Read(from, filter(t))
		if err != nil {
			t.Fatal(err)
		}
		out := from.Clone(t.Context())
		b.SetOn(out, from)
		if _, err := out.Body.Read(make([]byte, 2)); err != nil || !b.PartlySent() {
			t.Errorf("%s: %v, partly sent %t", name, err, b.PartlySent())
		}
		if _, err := io.ReadAll(out.Body); !errors.Is(err, c.want) || !errors.Is(b.ReadError(), c.want) {
			t.Errorf("%s: %v, %v", name, err, b.ReadError())
		}
	}
}

// TestCheckLength protects the next server from chunks that it takes for a body.
func TestCheckLength(t *testing.T) {
	for name, c := range map[string]struct {
		request http.Request
		ok      bool
	}{
		"1.1":             {http.Request{Method: "POST", ProtoMajor: 1, ProtoMinor: 1}, true},
		"2":               {http.Request{Method: "POST", ProtoMajor: 2}, true},
		"1.0":             {http.Request{Method: "POST", ProtoMajor: 1}, false},
		"1.0 GET":         {http.Request{Method: "GET", ProtoMajor: 1}, true},
		"1.0 with length": {http.Request{Method: "POST", ProtoMajor: 1, Header: http.Header{"Content-Length": {"5"}}}, true},
	} {
		if err := CheckLength(&c.request); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
