// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// tokenReply is the successful answer of a token endpoint, read by [Config.Reply].
type tokenReply struct {
	tokens  delegation.GrantTokens // Refresh is empty if the answer has none
	scopes  []string               // nil if it does not say
	members map[string]any         // below Reply.Root
}

// requestToken sends a token request, once. The error is a [*delegation.Refusal] with
// a [*tokenError] in its chain if the vendor has answered, and with
// [delegation.ErrNotSent] if it cannot have got the request.
func (p *oauth2Source) requestToken(ctx context.Context, to *url.URL, form url.Values) (*tokenReply, error) {
	req, err := p.tokenRequest(ctx, to, form)
	if err != nil {
		return nil, unreachable("the token endpoint", fmt.Errorf("%w: %w", delegation.ErrNotSent, err))
	}
	a, err := p.do(req)
	if err != nil {
		return nil, unreachable("the token endpoint", err)
	}
	received := time.Now()
	reply, failed := p.config.readReply(a, received)
	if failed == nil {
		return reply, nil
	}
	failed.status = a.status
	r := delegation.Refuse(failed.code(), failed)
	r.RetryAfter = a.retryAfter
	return nil, r
}

// tokenRequest returns a token request with the client's authentication (RFC 6749
// section 2.3.1, RFC 7523 section 2.2).
func (p *oauth2Source) tokenRequest(ctx context.Context, to *url.URL, form url.Values) (*http.Request, error) {
	c := p.config
	basic := false
	switch c.ClientAuth {
	case ClientAuthNone:
		form.Set("client_id", c.ClientID)
	case ClientAuthKey:
		e, err := p.find(ctx)
		if err != nil {
			return nil, err
		}
		// Of the token endpoint wherever it goes: that is what the server goes by.
		assertion, err := p.assertion(e.token.String())
		if err != nil {
			return nil, err
		}
		form.Set("client_id", c.ClientID)
		form.Set("client_assertion_type", oauth.AssertionType)
		form.Set("client_assertion", assertion)
	case ClientAuthBasic:
		basic = true
	default:
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.clientSecret(&p.sourceHost).Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		p.setBasic(req)
	}
	return req, nil
}

// setBasic has a request authenticate as the client. ID and secret are encoded as in a
// form first (RFC 6749 section 2.3.1).
func (p *oauth2Source) setBasic(req *http.Request) {
	req.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.config.clientSecret(&p.sourceHost).Reveal()))
}

// tokenErrorKind says whom the failure of a token request concerns.
type tokenErrorKind int

const (
	noTokenAnswer   tokenErrorKind = iota // nothing is known of code and refresh token
	unknownError                          // nor by an error that has come in JSON
	grantRefused                          // invalid_grant: this code or refresh token
	consentRefused                        // access_denied
	clientRefused                         // the operator's client, or our request
	scopeRefused                          // invalid_scope
	tokensThrottled                       // too many requests
)

// tokenError is an answer of a token endpoint that is no success. Its text holds
// nothing of the answer but a registered error code.
type tokenError struct {
	kind   tokenErrorKind
	what   string
	status int
}

// Error implements error.
func (e *tokenError) Error() string {
	return fmt.Sprintf("the token endpoint: %s (status %d)", e.what, e.status)
}

func (e *tokenError) code() delegation.Code {
	switch e.kind {
	case grantRefused:
		return delegation.DelegationRefused
	case consentRefused:
		return delegation.ConsentDenied
	case clientRefused:
		return delegation.CredentialsRejected
	case scopeRefused:
		return delegation.ScopeRejected
	case tokensThrottled:
		return delegation.IssuerThrottled
	default:
		return delegation.IssuerUnavailable
	}
}

// errorWords are the error codes of RFC 6749 section 5.2 that decide, whatever the
// status: vendors send 400, 401, 403 and 200 for the same of them. No other word of
// an answer is looked at but what the settings name ([Reply]), and only invalid_grant
// and that may end a grant.
var errorWords = map[string]tokenErrorKind{
	"invalid_grant":          grantRefused,
	"access_denied":          consentRefused,
	"invalid_client":         clientRefused,
	"unauthorized_client":    clientRefused,
	"unsupported_grant_type": clientRefused,
	"invalid_request":        clientRefused,
	"invalid_scope":          scopeRefused,
}

// readReply reads an answer of the token endpoint.
func (c *Config) readReply(a *answer, received time.Time) (*tokenReply, *tokenError) {
	switch {
	case a.status == http.StatusTooManyRequests:
		return nil, &tokenError{kind: tokensThrottled, what: "too many requests"}
	case a.status >= http.StatusInternalServerError:
		return nil, &tokenError{what: "it fails by itself"}
	case a.status/100 == 3:
		// A 307 would carry secret and code to wherever it points.
		return nil, &tokenError{what: "it redirects, which is not followed: check the address"}
	}
	all, err := a.members()
	switch {
	case err != nil && a.status == http.StatusUnauthorized:
		return nil, &tokenError{kind: clientRefused, what: "the client is not accepted: check client_id and client_secret"}
	case err != nil:
		return nil, &tokenError{what: err.Error()}
	}
	if failed := c.readFailure(a.status, all); failed != nil {
		return nil, failed
	}
	reply, err := c.readTokens(all, received)
	if err != nil {
		return nil, &tokenError{what: err.Error()}
	}
	return reply, nil
}

// readFailure returns the failure that the members of an answer tell; nil if none.
func (c *Config) readFailure(status int, all map[string]any) *tokenError {
	if said, ok := textAt(all, c.Reply.RefusedAt); ok && slices.Contains(c.Reply.Refused, said) {
		return &tokenError{kind: grantRefused, what: "the member " + c.Reply.RefusedAt + " says that the code or refresh token is not accepted"}
	}
	word, _ := all["error"].(string)
	if kind, ok := errorWords[word]; ok {
		mend := ""
		if kind == clientRefused {
			mend = ": check client_id, client_secret and how the client authenticates"
		}
		return &tokenError{kind: kind, what: word + mend}
	}
	if c.Reply.OK != "" && status/100 == 2 {
		if said, _ := textAt(all, c.Reply.OK); said == c.Reply.OKValue {
			return nil
		}
		return &tokenError{kind: unknownError, what: "the member " + c.Reply.OK + " says that it has failed"}
	}
	switch {
	case status == http.StatusUnauthorized:
		return &tokenError{kind: clientRefused, what: "the client is not accepted: check client_id and client_secret"}
	case status/100 != 2:
		return &tokenError{kind: unknownError, what: "an error of its own"}
	case strictjson.ReportsError(all["error"]):
		return &tokenError{what: "a successful answer has the member error"}
	default:
		return nil
	}
}
