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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

const (
	// maxAnswer is longer than what anybody says of one session, with a picture
	// and all groups in it. It counts what is unpacked.
	maxAnswer = 1 << 20

	// maxRest is how much of an answer with another status is read, so that its
	// connection can be used again.
	maxRest = 4 << 10
)

// answer is what somebody says who was asked about a session.
type answer struct {
	asked  time.Time // just before the question was sent
	status int
	header http.Header
	body   []byte // of another status than 200 the beginning
}

// ask sends a question. Redirects are not followed, whatever the client would
// do: the session would go along (RFC 9700 section 4.12). Nor are cookies kept:
// what is set for one user must not go along with the next one's session.
func ask(client *http.Client, req *http.Request) (*answer, error) {
	c := *client
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &answer{asked: time.Now()}
	// Without a connection nothing was sent, and no credential is to blame.
	var wanted, connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	res, err := c.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, unanswered(err, connected.Load() || !wanted.Load())
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.status != http.StatusOK {
		a.body, _ = io.ReadAll(io.LimitReader(res.Body, maxRest))
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, unanswered(err, true)
	}
	if len(a.body) > maxAnswer {
		return nil, fmt.Errorf("the answer (%s) is larger than %d bytes", a, maxAnswer)
	}
	return a, nil
}

// session is what the answer says of a credential.
func (a *answer) session(credential Credential, d document) *Session {
	return &Session{IssuedBefore: a.asked, asked: true, claims: d.kept(len(a.body)), digest: digestOf(credential.Text)}
}

// contentTypes are those that an answer is told by in the log. Any other may hold
// what was sent.
var contentTypes = []string{
	"application/json", "application/problem+json", "application/jwt", "application/token-introspection+jwt", "application/xml",
	"application/javascript", "application/octet-stream", "text/html", "text/plain", "text/xml", "text/javascript",
}

// String names the answer for the log, without anything that may be of a person.
func (a *answer) String() string {
	text := a.header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case text == "":
		kind = "no content type"
	case err != nil || !slices.Contains(contentTypes, kind):
		kind = "a content type that is not known here"
	}
	return fmt.Sprintf("status %d, %s", a.status, kind)
}

// unreadable is the error for an answer of the right status.
func (a *answer) unreadable(err error) error { return fmt.Errorf("the answer (%s): %w", a, err) }

// useless is the error for an answer that says nothing of the session. Most may
// be made by the one credential, at which an app stumbles (status 500), or of
// which it has enough (429).
func (a *answer) useless() *failure {
	f := &failure{error: fmt.Errorf("the answer says nothing of the session (%s)", a), wait: oauth.RetryAfter(a.header, time.Now())}
	switch a.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.about = blame.Service
	}
	return f
}

// failure is a question that has not led to an answer about the session.
type failure struct {
	error
	about func(*delegation.Refusal) blame.Verdict // nil: the credential
	wait  time.Duration                           // until it may be asked again, if that was said
}

func (f *failure) Unwrap() error { return f.error }

func (f *failure) verdict(r *delegation.Refusal) blame.Verdict {
	if f.about == nil {
		return blame.Credential()
	}
	return f.about(r)
}

// unanswered is the error for a call that got no answer. connected tells
// whether there was a connection to send it by.
func unanswered(err error, connected bool) *failure {
	f := &failure{error: oauth.Unreachable(err)}
	var timeout net.Error
	var operation *net.OpError
	switch {
	case !connected, errors.As(err, &operation) && operation.Op == "dial":
		f.about = blame.Unreachable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(),
		operation != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it does not say why

		f.about = blame.Service
	}
	return f
}

// doubt is the refusal for who could not be asked. what was done is for the
// operator's log.
func doubt(what string, err error) *delegation.Refusal {
	r := unavailable(fmt.Errorf("%s: %w", what, err))
	if f, ok := errors.AsType[*failure](err); ok {
		r.RetryAfter = f.wait
	}
	return r
}
