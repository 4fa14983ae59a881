// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

const (
	// maxBody is how long an answer may be, in bytes, after decompression: more than any
	// server says of one session, with a picture and all groups in it.
	maxBody = 1 << 20

	// maxErrorBody is how much of an answer with another status than 200 is read, so
	// that its connection can be used again.
	maxErrorBody = 4 << 10
)

// response is a server's answer about a session.
type response struct {
	sentAt time.Time // just before the request was sent
	status int
	header http.Header
	body   []byte // with another status than 200 the first maxErrorBody bytes
}

// send sends a request about a session. It follows no redirects, whatever the client's
// rule is: the session would go along (RFC 9700 section 4.12). It keeps no cookies: what
// is set for one user must not go along with the next one's session.
func send(client *http.Client, req *http.Request) (*response, error) {
	c := *client
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r := &response{sentAt: time.Now()}
	// Without a connection nothing was sent, and the credential is not the cause.
	var wanted, connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	res, err := c.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, noResponse(err, connected.Load() || !wanted.Load())
	}
	defer res.Body.Close()
	r.status, r.header = res.StatusCode, res.Header
	if r.status != http.StatusOK {
		r.body, _ = io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		return r, nil
	}
	r.body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, noResponse(err, true)
	}
	if len(r.body) > maxBody {
		return nil, fmt.Errorf("the answer (%s) is larger than %d bytes", r, maxBody)
	}
	return r, nil
}

// newSession returns a session, without subject and realm, that the answer vouches for.
func (r *response) newSession(credential Credential, d claims) *Session {
	return &Session{IssuedBefore: r.sentAt, remote: true, claims: d.trimmed(len(r.body)), digest: sessionDigest(credential.Text)}
}

// loggedContentTypes are the content types that the log may name. Any other may hold
// what the request has sent.
var loggedContentTypes = []string{
	"application/json", "application/problem+json", "application/jwt", "application/token-introspection+jwt", "application/xml",
	"application/javascript", "application/octet-stream", "text/html", "text/plain", "text/xml", "text/javascript",
}

// String describes the answer for the log: nothing of it can be of a person.
func (r *response) String() string {
	text := r.header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case text == "":
		kind = "no content type"
	case err != nil || !slices.Contains(loggedContentTypes, kind):
		kind = "a content type that is not known here"
	}
	return fmt.Sprintf("status %d, %s", r.status, kind)
}

// malformed returns the error for an answer with the right status and an unusable body.
func (r *response) malformed(err error) error { return fmt.Errorf("the answer (%s): %w", r, err) }

// unexpectedStatus returns the error for an answer that says nothing of the session. It
// is counted against the credential, which may make an app fail (500) or have used up
// its quota (429), unless a gateway says that the server is away.
func (r *response) unexpectedStatus() *callError {
	f := &callError{error: fmt.Errorf("the answer says nothing of the session (%s)", r), retryAfter: oauth.RetryAfter(r.header, time.Now())}
	switch r.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.verdictFor = circuit.ServiceFailed
	}
	return f
}

// callError is the error of a call that has got no answer about the session.
type callError struct {
	error
	verdictFor func(*delegation.Refusal) circuit.Verdict // nil: the credential's fault
	retryAfter time.Duration                             // 0 if the answer does not tell it
}

func (e *callError) Unwrap() error { return e.error }

// verdict returns what the breaker learns from the call, whose refusal is r.
func (e *callError) verdict(r *delegation.Refusal) circuit.Verdict {
	if e.verdictFor == nil {
		return circuit.CredentialFault()
	}
	return e.verdictFor(r)
}

// noResponse returns the error for a call without an answer. connected is whether there
// was a connection to send the request by.
func noResponse(err error, connected bool) *callError {
	f := &callError{error: oauth.Unreachable(err)}
	var timeout net.Error
	var operation *net.OpError
	switch {
	case !connected, errors.As(err, &operation) && operation.Op == "dial":
		f.verdictFor = circuit.Unreachable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(),
		operation != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.verdictFor = circuit.ServiceFailed
	}
	return f
}

// unavailableAfter returns the refusal of a credential that cannot be judged because of
// an error. task says for the operator's log what was being done.
func unavailableAfter(task string, err error) *delegation.Refusal {
	r := unavailable(fmt.Errorf("%s: %w", task, err))
	if f, ok := errors.AsType[*callError](err); ok {
		r.RetryAfter = f.retryAfter
	}
	return r
}
