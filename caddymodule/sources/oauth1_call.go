// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// exchange carries out one of the legs that a server does (RFC 5849 sections 2.1 and
// 2.3), and returns the fields of the answer, among which are token and secret.
// setting names the address for the operator. A timestamp or nonce that the vendor
// does not accept is replaced once: it has not looked at the request.
func (p *oauth1Protocol) exchange(ctx context.Context, setting string, address *url.URL, t oauth1.Token, protocol ...oauth1.Parameter) (url.Values, error) {
	for last := false; ; last = true {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), nil)
		if err != nil {
			return nil, delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("%w: %s: the address cannot be made", delegation.ErrNotSent, setting))
		}
		if err := p.client().Sign(req, t, protocol...); err != nil {
			return nil, delegation.Refuse(delegation.CredentialsRejected, fmt.Errorf("%s: %w", setting, err))
		}
		req.Header["Accept"] = []string{"*/*"} // the answer is a form (RFC 5849 section 2.1)
		a, err := p.do(req)
		if err != nil {
			return nil, unreachable(setting, err)
		}
		if a.status/100 == 2 {
			return readTokenReply(setting, a)
		}
		problem := oauth1.ProblemIn(a.header, a.body)
		if corrected := p.correctClock(a.header, problem); !last && (corrected || problem.Kind() == oauth1.Time) {
			continue
		}
		refusal := refusalOfProblem(setting, a.status, problem, t != oauth1.Token{})
		refusal.RetryAfter = a.retryAfter
		return nil, refusal
	}
}

// readTokenReply returns the fields of a successful answer. Vendors name any media type
// for it.
func readTokenReply(setting string, a *answer) (url.Values, error) {
	unreadable := func(why string) (url.Values, error) {
		return nil, unreachable(setting, fmt.Errorf("the answer %s: check the address", why))
	}
	body := bytes.TrimSpace(a.body)
	switch {
	case a.isTooLarge:
		return unreadable(fmt.Sprintf("is larger than %d bytes", maxAnswer))
	case bytes.HasPrefix(body, []byte("<")):
		return unreadable("is a page")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return unreadable("is no form")
	}
	for _, name := range []string{"oauth_token", "oauth_token_secret"} {
		if values := form[name]; len(values) != 1 || !delegation.IsLine(values[0], maxToken) {
			return unreadable(fmt.Sprintf("has not one %s of 1 to %d bytes", name, maxToken))
		}
	}
	return form, nil
}

// refusalOfProblem returns what an answer that is no success means. With a token it is
// the third leg's, whose client the vendor has accepted in the first one: what it does
// not say is then about token and verifier (RFC 5849 section 3.2 has 400 and 401 for
// either).
func refusalOfProblem(setting string, status int, problem oauth1.Problem, withToken bool) *delegation.Refusal {
	const checkClient, checkReturn = ": check client_id, client_secret and signature", "whether the vendor has our return address"
	code, mend := delegation.IssuerUnavailable, ""
	switch kind := problem.Kind(); {
	case status == http.StatusTooManyRequests:
		code = delegation.IssuerThrottled
	case status >= http.StatusInternalServerError:
	case kind == oauth1.Time:
		mend = ": check this machine's clock"
	case kind == oauth1.ClientFault:
		code, mend = delegation.CredentialsRejected, checkClient
	case kind == oauth1.RequestFault:
		code, mend = delegation.CredentialsRejected, ": check "+checkReturn
	case kind == oauth1.TokenFault && withToken:
		code = delegation.TokenRejected
	case kind == oauth1.Denied && withToken:
		code = delegation.ConsentDenied
	case status != http.StatusBadRequest && status != http.StatusUnauthorized && status != http.StatusForbidden:
		mend = ": check the address"
	case withToken:
		code = delegation.TokenRejected
	default:
		code, mend = delegation.CredentialsRejected, checkClient+", and "+checkReturn
	}
	cause := fmt.Errorf("%s: status %d%s", setting, status, mend)
	if problem != "" {
		cause = fmt.Errorf("%s: status %d %w%s", setting, status, problem, mend)
	}
	r := delegation.Refuse(code, cause)
	r.Expected = code == delegation.TokenRejected || code == delegation.ConsentDenied
	return r
}
