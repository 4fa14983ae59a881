// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// defaultStatusName is this proxy's name in Proxy-Status.
const defaultStatusName = "caddy-delegate"

// problem is the body of a refusal (RFC 9457), with the code that frontends
// branch on. `message` is where MyDataHelps' SDKs look for a text.
type problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Code    delegation.Code `json:"code"`
	Message string          `json:"message"`

	// RequestID is what the operator asks `caddy delegate why` with.
	RequestID string `json:"request_id,omitempty"`

	// RequiredScopes are in consent_required, where the user has consented to less.
	RequiredScopes []string `json:"required_scopes,omitempty"`
}

func problemBody(refusal *delegation.Refusal, requestID string) []byte {
	body, _ := json.Marshal(problem{
		Type:    "about:blank",
		Title:   http.StatusText(refusal.Status()),
		Status:  refusal.Status(),
		Code:    refusal.Code,
		Message: refusal.Message(),

		RequestID:      requestID,
		RequiredScopes: refusal.RequiredScopes,
	})
	return body
}

// newRefusalResponse returns a refusal as the response of a transport.
// statusName is this proxy in Proxy-Status.
func newRefusalResponse(req *http.Request, statusName string, refusal *delegation.Refusal) *http.Response {
	body := problemBody(refusal, requestID(req))
	res := &http.Response{
		StatusCode: refusal.Status(),
		Status:     fmt.Sprintf("%d %s", refusal.Status(), http.StatusText(refusal.Status())),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/problem+json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
	res.Header.Set("Content-Security-Policy", headers.OwnPolicy)
	setRefusalHeaders(res.Header, statusName, refusal)
	return res
}

// setRefusalHeaders sets a refusal's headers: Proxy-Status (RFC 9209), what all
// responses of this server have, and what the status asks for.
func setRefusalHeaders(h http.Header, statusName string, refusal *delegation.Refusal) {
	h.Set("Proxy-Status", fmt.Sprintf("%s; error=%s; details=%q", statusName, refusal.ProxyError(), string(refusal.Code)))
	headers.SetOwnHeaders(h)
	if refusal.Status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if len(refusal.Allow) > 0 {
		h.Set("Allow", strings.Join(refusal.Allow, ", "))
	}
	if wait := refusal.BoundedRetryAfter(); wait > 0 {
		h.Set("Retry-After", wholeSeconds(wait))
	}
}

// structuredName writes the name of a proxy as a structured field: a token where
// it is one, a string otherwise (RFC 8941 sections 3.3.3 and 3.3.4). An empty
// name is the default one.
func structuredName(name string) string {
	if name == "" {
		return defaultStatusName
	}
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '*'
		inside := c >= '0' && c <= '9' || strings.ContainsRune(":/!#$%&'*+-.^_`|~", c)
		if !letter && (i == 0 || !inside) {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

// wholeSeconds rounds up: who waits that long has waited enough.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
