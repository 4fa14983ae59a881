// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
)

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

func (*endless) Close() error { return nil }

// TestHugeAnswers protects memory from answers of any length, and from those
// that are short until they are unpacked.
func TestHugeAnswers(t *testing.T) {
	for status, want := range map[int]string{http.StatusOK: unknowable, http.StatusUnauthorized: required} {
		body := new(endless)
		client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: req}, nil
		})}
		s, err := appEndpoint(client).Verify(t.Context(), bearer(askedCredential))
		if got := outcome(t, s, err); got != want || body.read > 2*maxBody {
			t.Errorf("status %d: %q, %d bytes read", status, got, body.read)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(append([]byte(`{"active":true,"sub":"alice"}`), bytes.Repeat([]byte(" "), 10<<20)...))
	_ = z.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	defer server.Close()
	i := &Introspection{URL: server.URL, Realm: "r", Client: server.Client()}
	s, err := i.Verify(t.Context(), bearer("x"))
	if got := outcome(t, s, err); got != unknowable {
		t.Errorf("gzip bomb: %q", got)
	}
}

// TestUnanswered protects who is signed in from being signed out because
// nobody answers, and everybody from one credential that makes an app hang up.
func TestUnanswered(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refuses connections":  {&net.OpError{Op: "dial", Err: errors.New("leak")}, nobodyKnows},
		"too late":             {context.DeadlineExceeded, nobodyKnows},
		"breaks the call":      {&net.OpError{Op: "read", Err: errors.New("leak")}, nobodyKnows},
		"speaks something odd": {errors.New(`malformed HTTP response "leak"`), unknowable},
	} {
		j := &fakeServer{err: c.err}
		for _, v := range []Verifier{introspection(j.client()), appEndpoint(j.client())} {
			s, err := v.Verify(t.Context(), bearer(askedCredential))
			if got := outcome(t, s, err); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	}
	cut := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(iotest.ErrReader(errors.New("leak"))), Request: req}, nil
	})}
	s, err := appEndpoint(cut).Verify(t.Context(), bearer(askedCredential))
	if got := outcome(t, s, err); got != unknowable {
		t.Errorf("breaks off: %q", got)
	}
	for _, v := range []Verifier{&Introspection{URL: "http://user:leak@[", Client: http.DefaultClient}, &Endpoint{URL: "http://user:leak@[", Realm: "r", Client: http.DefaultClient}} {
		s, err := v.Verify(t.Context(), bearer("x"))
		if got := outcome(t, s, err); got != unknowable {
			t.Errorf("no URL: %q", got)
		}
	}
}
