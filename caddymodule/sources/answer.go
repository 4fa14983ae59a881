// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxAnswer bounds what is read of a vendor's answer, in bytes, decompressed.
const maxAnswer = 64 << 10

// answer is what a vendor has answered to a call of ours. Its body is never part of a
// text: it may repeat a secret, or name a person.
type answer struct {
	status     int
	header     http.Header
	retryAfter time.Duration
	body       []byte
	isHTML     bool
	isTooLarge bool
}

// do sends a request, once, and reads the answer. The error says why there is none,
// and wraps [delegation.ErrNotSent] if the vendor cannot have got the request.
func (h *sourceHost) do(req *http.Request) (*answer, error) { return h.doUpTo(req, maxAnswer) }

// doUpTo is do for an answer of up to limit bytes.
func (h *sourceHost) doUpTo(req *http.Request, limit int) (*answer, error) {
	if req.Header["Accept"] == nil {
		req.Header["Accept"] = []string{"application/json"}
	}
	res, err := h.client.Do(req) //nolint:gosec // the operator's own address
	if err != nil {
		// Of err's own text nothing: it holds the address, and with it a token.
		if neterror.NotSent(err) {
			return nil, fmt.Errorf("%w: %s", delegation.ErrNotSent, neterror.Cause(err))
		}
		return nil, errors.New(neterror.Cause(err))
	}
	defer func() { _ = res.Body.Close() }()
	a := &answer{status: res.StatusCode, header: res.Header, retryAfter: oauth.RetryAfter(res.Header, time.Now())}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, int64(limit)+1)); err != nil {
		return nil, errors.New(neterror.Cause(err))
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	a.isHTML = strings.Contains(kind, "html") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
	a.isTooLarge = len(a.body) > limit
	return a, nil
}

// unreachable is the refusal for a call that got no answer.
func unreachable(what string, err error) *delegation.Refusal {
	return delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("%s: %w", what, err))
}

// members returns the members of an answer in JSON.
func (a *answer) members() (map[string]any, error) {
	switch {
	case a.isTooLarge:
		return nil, errors.New("the answer is too large")
	case a.isHTML:
		return nil, errors.New("the answer is a page, not JSON: check the address")
	}
	all, err := strictjson.Decode(a.body)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	return all, nil
}

// refusal returns the refusal for an answer that is no success, to a call that what
// names.
func (a *answer) refusal(what string) *delegation.Refusal {
	code, mend := delegation.IssuerUnavailable, ""
	switch {
	case a.status == http.StatusTooManyRequests:
		code = delegation.IssuerThrottled
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		code, mend = delegation.CredentialsRejected, ": the vendor does not let this client or token do that"
	case a.status < http.StatusInternalServerError:
		mend = ": check the address"
	}
	r := delegation.Refuse(code, fmt.Errorf("%s: status %d%s", what, a.status, mend))
	r.RetryAfter = a.retryAfter
	return r
}
