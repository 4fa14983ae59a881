// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

const (
	// maxAnswer is longer than what anybody says of one session. It counts
	// what is unpacked.
	maxAnswer = 16 << 10

	// maxRest is how much of an answer that is of no use is read, so that its
	// connection can be used again.
	maxRest = 4 << 10
)

// answer is what somebody says who was asked about a session.
type answer struct {
	asked  time.Time // just before the question was sent
	status int
	header http.Header
	body   []byte // of status 200 only
}

// ask sends a question. Redirects are not followed, whatever the client would
// do: the session would go along (RFC 9700 section 4.12). Nor are cookies kept:
// what is set for one user must not go along with the next one's session.
func ask(client *http.Client, req *http.Request) (*answer, error) {
	c := *client
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &answer{asked: time.Now()}
	res, err := c.Do(req)
	if err != nil {
		return nil, unanswered(err)
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.status != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, maxRest)
		return a, nil
	}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, unanswered(err)
	}
	if len(a.body) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return a, nil
}

// session is what the answer says of a credential.
func (a *answer) session(credential Credential, d document) *Session {
	return &Session{IssuedBefore: a.asked, asked: true, claims: d, digest: digestOf(credential.Text)}
}

// useless is the error for an answer that says nothing of the session.
func (a *answer) useless() error {
	u := &unusable{fmt.Errorf("the answer has status %d", a.status), oauth.RetryAfter(a.header, time.Now())}
	switch a.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return outage{u}
	}
	return u
}

// unusable is an answer that asks to wait.
type unusable struct {
	error
	wait time.Duration
}

// outage is trouble that is everybody's. Other trouble may be made by one
// credential, at which an app stumbles (status 500) or a firewall hangs up, and
// anybody can send as many of those as they like: it must keep nobody else's
// session from being verified.
type outage struct{ error }

func (o outage) Unwrap() error { return o.error }

// silent tells whether it is not an answer that says so.
func (o outage) silent() bool {
	_, answered := errors.AsType[*unusable](o.error)
	return !answered
}

// unanswered is the error for a call that got no answer.
func unanswered(err error) error {
	cause := oauth.Unreachable(err)
	var timeout net.Error
	var operation *net.OpError
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() ||
		errors.As(err, &operation) && operation.Op == "dial" {
		return outage{cause}
	}
	return cause
}

// doubt is the refusal for who could not be asked. what was done is for the
// operator's log.
func doubt(what string, err error) *delegation.Refusal {
	r := unavailable(fmt.Errorf("%s: %w", what, err))
	if u, ok := errors.AsType[*unusable](err); ok {
		r.RetryAfter = u.wait
	}
	return r
}
