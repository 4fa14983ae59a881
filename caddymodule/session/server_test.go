// SPDX-License-Identifier: Apache-2.0

package session

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// roundTrip is a function that makes calls.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// anybody in an answer stands for the credential: everybody's names another
// person.
const (
	anybody    = "ANYBODY"
	anybodysIn = `{"active":true,"sub":"` + anybody + `"}`
)

// fakeServer is an issuer or app that is asked about sessions. It implements [http.RoundTripper].
type fakeServer struct {
	mu     sync.Mutex
	status int
	kind   string // of its answers; "-" is none
	body   string
	err    error
	header http.Header
	delay  time.Duration

	calls, now, most int       // questions, those under way, and the most of them
	lastCall         time.Time // when it was asked last
}

func (j *fakeServer) client() *http.Client { return &http.Client{Transport: j} }

// respond changes the answer to questions that are asked from now on.
func (j *fakeServer) respond(status int, body string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status, j.body = status, body
}

func (j *fakeServer) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.calls
}

func (j *fakeServer) RoundTrip(req *http.Request) (*http.Response, error) {
	j.mu.Lock()
	j.calls++
	j.now++
	j.most = max(j.most, j.now)
	j.lastCall = time.Now()
	status, body, err, delay := j.status, j.body, j.err, j.delay
	if strings.Contains(body, anybody) && req.ParseForm() == nil {
		body = strings.ReplaceAll(body, anybody, req.Form.Get("token"))
	}
	header := j.header.Clone()
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.now--
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	if header == nil {
		header = make(http.Header)
	}
	switch j.kind {
	case "":
		header.Set("Content-Type", "application/json")
	case "-":
	default:
		header.Set("Content-Type", j.kind)
	}
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// expect verifies a credential and tells if the outcome or the number of
// calls so far is not what it should be; -1 is any.
func expect(t *testing.T, v Verifier, j *fakeServer, credential, want string, calls int) *Session {
	t.Helper()
	s, err := v.Verify(t.Context(), bearer(credential))
	if got := strings.TrimSuffix(outcome(t, s, err), "*"); got != want || calls >= 0 && j.count() != calls {
		t.Errorf("%q after %d calls, want %q after %d", got, j.count(), want, calls)
	}
	return s
}
