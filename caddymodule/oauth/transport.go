// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// checkedTransport is the transport between x/oauth2 and the network for one token
// request. It checks the answer and passes on only what it has checked: x/oauth2
// alone would take a form for a token response, a string for expires_in, and the
// last of two equal keys.
type checkedTransport struct {
	base  http.RoundTripper
	check func(*tokenResponse) error // what the caller asks of an answer besides

	response *tokenResponse
	received time.Time
}

// RoundTrip implements [http.RoundTripper]. Its errors are of type [*Error].
func (w *checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := w.base
	if base == nil {
		base = http.DefaultTransport
	}
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	res, err := base.RoundTrip(req)
	if err != nil {
		return nil, Unreachable(err)
	}
	defer res.Body.Close()
	w.received = time.Now()
	// The limit counts what was decompressed.
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, Unreachable(err)
	}
	if failure := w.checkResponse(res, body); failure != nil {
		failure.Status = res.StatusCode
		failure.RetryAfter = RetryAfter(res.Header, w.received)
		failure.Skew = clockSkew(res.Header, w.received)
		return nil, failure
	}
	checked, err := json.Marshal(map[string]string{"access_token": w.response.accessToken, "token_type": "Bearer"})
	if err != nil {
		return nil, Unreachable(err)
	}
	return &http.Response{
		Status: res.Status, StatusCode: res.StatusCode,
		Proto: res.Proto, ProtoMajor: res.ProtoMajor, ProtoMinor: res.ProtoMinor,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(checked)),
		ContentLength: int64(len(checked)),
		Request:       req,
	}, nil
}

// checkResponse returns the error of an answer, and sets w.response if there is
// none.
func (w *checkedTransport) checkResponse(res *http.Response, body []byte) *Error {
	switch status := res.StatusCode; {
	case status == http.StatusTooManyRequests:
		return &Error{Kind: Throttled}
	case status >= 300 && status < 400:
		// A 307 would carry the assertion or secret to wherever it points.
		return &Error{Kind: Unavailable, reason: "it redirects, which is not followed; check the address"}
	case status >= 500:
		return &Error{Kind: Unavailable}
	case len(body) > maxBody:
		return &Error{Kind: Unavailable, reason: "the answer is too large"}
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &Error{Kind: Unavailable, reason: "the answer is not JSON; check the address"}
	}
	if res.StatusCode != http.StatusOK {
		return parseErrorResponse(res.StatusCode, body)
	}
	a, err := parseTokenResponse(body)
	if err == nil {
		err = w.check(a)
	}
	if err != nil {
		return &Error{Kind: Unavailable, reason: err.Error()}
	}
	w.response = a
	return nil
}

// parseErrorResponse returns the error of an error response (RFC 6749 section 5.2).
// Issuers send 400, 401 and 403 for the same codes, so the code decides.
func parseErrorResponse(status int, body []byte) *Error {
	all, err := strictjson.Members(body)
	if err != nil {
		return &Error{Kind: Unavailable, reason: "the answer: " + err.Error()}
	}
	code, err := stringField(all, "error")
	switch {
	case err != nil, code == "":
		return &Error{Kind: Unavailable, reason: "the answer holds neither a token nor an error code; check the address"}
	case errorCodes[code] != "":
		return &Error{Kind: errorCodes[code], Code: code}
	case status == http.StatusUnauthorized:
		return &Error{Kind: ClientRejected, reason: "with a code of its own"}
	case status == http.StatusBadRequest, status == http.StatusForbidden:
		// A grant's own check may have its own word for no.
		return &Error{Kind: GrantRefused, reason: "with a code of its own"}
	default:
		return &Error{Kind: Unavailable, reason: "the answer is none of a token endpoint; check the address"}
	}
}
