// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// words are the error codes of RFC 6749 sections 4.1.2.1 and 5.2 and of RFC 6750
// section 3.1 that decide, whatever the status: platforms send 400, 401 and 403 for
// the same of them. No other word of an answer is looked at.
var words = map[string]delegation.Code{
	"invalid_client":          delegation.CredentialsRejected,
	"unauthorized_client":     delegation.CredentialsRejected,
	"invalid_grant":           delegation.TokenRejected,
	"invalid_token":           delegation.TokenRejected,
	"access_denied":           delegation.ConsentDenied,
	"server_error":            delegation.IssuerUnavailable,
	"temporarily_unavailable": delegation.IssuerUnavailable,
}

// refusal returns what an answer that is no success means; nil for a success. The
// setting names the address. What decides:
//
//   - 400, 409, 410, 422 and, with a JSON body, 404: the token is not accepted. Our
//     part of the request is the same for everybody, so it is the token that differs.
//   - 401 and 403: the client is not accepted, which is authenticated by its secret
//     in the same request. A word of RFC 6749 in the body says otherwise.
//   - 429: too many requests.
//   - everything else, pages and redirects: no answer. Whether the token is spent is
//     not known then.
func (a *answer) refusal(setting string) *delegation.Refusal {
	if a.status/100 == 2 {
		return nil
	}
	code, mend := a.code()
	r := delegation.Refuse(code, fmt.Errorf("%s: status %d%s", setting, a.status, mend))
	r.RetryAfter = a.retryAfter
	r.Expected = code == delegation.TokenRejected || code == delegation.ConsentDenied
	return r
}

// code returns the code of an answer that is no success, and what to do about it.
func (a *answer) code() (code delegation.Code, mend string) {
	const checkAddress = ": check the address"
	switch a.status {
	case http.StatusTooManyRequests:
		return delegation.IssuerThrottled, ""
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
	case http.StatusUnsupportedMediaType:
		return delegation.IssuerUnavailable, ": body json or form?"
	default:
		if a.status < http.StatusInternalServerError {
			mend = checkAddress
		}
		return delegation.IssuerUnavailable, mend
	}
	if a.isHTML || a.isTooLarge {
		return delegation.IssuerUnavailable, " with a page that is no answer" + checkAddress
	}
	all, err := strictjson.Decode(a.body)
	if word, ok := all["error"].(string); err == nil && ok && words[word] != "" {
		return words[word], " " + word
	}
	switch {
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return delegation.CredentialsRejected, ": check client_id and client_secret"
	case a.status == http.StatusNotFound && err != nil:
		return delegation.IssuerUnavailable, checkAddress
	}
	return delegation.TokenRejected, ""
}
