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
	// maxBody is longer than what anybody says of one session, with a picture
	// and all groups in it. It counts what is unpacked.
	maxBody = 1 << 20

	// maxErrorBody is how much of an answer with another status is read, so that its
	// connection can be used again.
	maxErrorBody = 4 << 10
)

// response is what somebody says who was asked about a session.
type response struct {
	sentAt time.Time // just before the question was sent
	status int
	header http.Header
	body   []byte // of another status than 200 the beginning
}

// send sends a question. Redirects are not followed, whatever the client would
// do: the session would go along (RFC 9700 section 4.12). Nor are cookies kept:
// what is set for one user must not go along with the next one's session.
func send(client *http.Client, req *http.Request) (*response, error) {
	c := *client
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &response{sentAt: time.Now()}
	// Without a connection nothing was sent, and no credential is to blame.
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
	a.status, a.header = res.StatusCode, res.Header
	if a.status != http.StatusOK {
		a.body, _ = io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, noResponse(err, true)
	}
	if len(a.body) > maxBody {
		return nil, fmt.Errorf("the answer (%s) is larger than %d bytes", a, maxBody)
	}
	return a, nil
}

// newSession is what the answer says of a credential.
func (a *response) newSession(credential Credential, d claims) *Session {
	return &Session{IssuedBefore: a.sentAt, remote: true, claims: d.trimmed(len(a.body)), digest: sessionDigest(credential.Text)}
}

// loggedContentTypes are those that an answer is told by in the log. Any other may hold
// what was sent.
var loggedContentTypes = []string{
	"application/json", "application/problem+json", "application/jwt", "application/token-introspection+jwt", "application/xml",
	"application/javascript", "application/octet-stream", "text/html", "text/plain", "text/xml", "text/javascript",
}

// String names the answer for the log, without anything that may be of a person.
func (a *response) String() string {
	text := a.header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case text == "":
		kind = "no content type"
	case err != nil || !slices.Contains(loggedContentTypes, kind):
		kind = "a content type that is not known here"
	}
	return fmt.Sprintf("status %d, %s", a.status, kind)
}

// malformed is the error for an answer of the right status.
func (a *response) malformed(err error) error { return fmt.Errorf("the answer (%s): %w", a, err) }

// unexpectedStatus is the error for an answer that says nothing of the session. Most may
// be made by the one credential, at which an app stumbles (status 500), or of
// which it has enough (429).
func (a *response) unexpectedStatus() *callError {
	f := &callError{error: fmt.Errorf("the answer says nothing of the session (%s)", a), retryAfter: oauth.RetryAfter(a.header, time.Now())}
	switch a.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.verdictFor = circuit.ServiceFailed
	}
	return f
}

// callError is a question that has not led to an answer about the session.
type callError struct {
	error
	verdictFor func(*delegation.Refusal) circuit.Verdict // nil: the credential
	retryAfter time.Duration                             // until it may be asked again, if that was said
}

func (f *callError) Unwrap() error { return f.error }

func (f *callError) verdict(r *delegation.Refusal) circuit.Verdict {
	if f.verdictFor == nil {
		return circuit.CredentialFault()
	}
	return f.verdictFor(r)
}

// noResponse is the error for a call that got no answer. connected tells
// whether there was a connection to send it by.
func noResponse(err error, connected bool) *callError {
	f := &callError{error: oauth.Unreachable(err)}
	var timeout net.Error
	var operation *net.OpError
	switch {
	case !connected, errors.As(err, &operation) && operation.Op == "dial":
		f.verdictFor = circuit.Unreachable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(),
		operation != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it does not say why

		f.verdictFor = circuit.ServiceFailed
	}
	return f
}

// unavailableAfter is the refusal for who could not be asked. what was done is for the
// operator's log.
func unavailableAfter(what string, err error) *delegation.Refusal {
	r := unavailable(fmt.Errorf("%s: %w", what, err))
	if f, ok := errors.AsType[*callError](err); ok {
		r.RetryAfter = f.retryAfter
	}
	return r
}
