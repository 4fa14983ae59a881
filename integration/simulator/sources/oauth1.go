// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// requestToken is OAuth 1.0a's temporary credentials.
type requestToken struct {
	text, secret string
	consumer     Client
	callback     string // empty: it is to be on the page's address
	expires      time.Time
	verifier     string // set when the person has allowed
	grant        *grant // likewise
	used         bool
}

// serveRequestToken answers with temporary credentials (RFC 5849 section 2.1).
func (c *call) serveRequestToken() {
	if !c.allowSigned(http.MethodPost) {
		return
	}
	s, p := c.verify(func(token, _ string) (string, *problem) {
		if token != "" {
			return "", &problem{status: http.StatusBadRequest, word: "parameter_rejected", advice: "oauth_token is too early here"}
		}
		return "", nil
	})
	if p == nil {
		p = c.checkCallback(s)
	}
	if p != nil {
		c.refuseSigned(p)
		return
	}
	t := &requestToken{
		text: secret("request-"), secret: secret("request-secret-"), consumer: s.consumer, callback: s.oauth["oauth_callback"],
		expires: c.now.Add(flowLifetime),
	}
	c.sim.store.mu.Lock()
	c.sim.store.ready()
	c.sim.store.requests[t.text] = t
	c.sim.store.mu.Unlock()
	c.count(func(*Counts) { c.record.ClientID = s.consumer.ID })
	answer := url.Values{"oauth_token": {t.text}, "oauth_token_secret": {t.secret}}
	if !c.settings.OAuth1.Unconfirmed {
		answer.Set("oauth_callback_confirmed", "true")
	}
	c.answerForm(answer)
}

// allowSigned is allow in the words of OAuth 1.0a.
func (c *call) allowSigned(method string) bool {
	if c.Method == method {
		return true
	}
	c.w.Header().Set("Allow", method)
	c.refuseSigned(&problem{status: http.StatusMethodNotAllowed, word: "parameter_rejected", advice: "the method is not " + method})
	return false
}

// checkCallback refuses a callback that is missing, in the wrong step, or none of the
// consumer's.
func (c *call) checkCallback(s signedCall) *problem {
	callback, there := s.oauth["oauth_callback"]
	switch {
	case c.settings.OAuth1.CallbackAtAuthorize && there:
		return &problem{status: http.StatusBadRequest, word: "parameter_rejected", advice: "oauth_callback belongs on the page's address"}
	case c.settings.OAuth1.CallbackAtAuthorize:
		return nil
	case !there:
		return &problem{status: http.StatusBadRequest, word: "parameter_absent", advice: "oauth_callback"}
	case !s.consumer.mayReturnTo(callback):
		return &problem{status: http.StatusBadRequest, word: "parameter_rejected", advice: "oauth_callback is none of the consumer's"}
	}
	return nil
}

func (c *call) answerForm(answer url.Values) {
	c.w.Header().Set("Cache-Control", "no-store")
	c.send(http.StatusOK, "application/x-www-form-urlencoded", []byte(answer.Encode()))
}

// beginOAuth1 reads the address of the page (RFC 5849 section 2.2).
func (v *Vendor) beginOAuth1(q url.Values, s *Settings, now time.Time) (*flow, error) {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	t := v.store.requests[q.Get("oauth_token")]
	switch {
	case len(q["oauth_token"]) != 1 || t == nil || !now.Before(t.expires) || t.used || t.verifier != "":
		return nil, errors.New("the request token is unknown, used or expired")
	case s.OAuth1.CallbackAtAuthorize && !t.consumer.mayReturnTo(q.Get("oauth_callback")):
		return nil, fmt.Errorf("oauth_callback %q is none of the consumer's", q.Get("oauth_callback"))
	case !s.OAuth1.CallbackAtAuthorize && q.Has("oauth_callback"):
		return nil, errors.New("oauth_callback belongs into the request for a request token")
	}
	f := &flow{id: secret("flow-"), client: t.consumer, redirectURI: t.callback, request: t, scopes: s.Scopes}
	if s.OAuth1.CallbackAtAuthorize {
		f.redirectURI = q.Get("oauth_callback")
	}
	return f, nil
}

// approveOAuth1 is where the browser is led when the person has allowed.
func (v *Vendor) approveOAuth1(f *flow, g *grant, s *Settings) string {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	f.request.verifier, f.request.grant = secret("verifier-"), g
	answer := url.Values{"oauth_token": {f.request.text}, "oauth_verifier": {f.request.verifier}}
	if s.OAuth1.NoVerifier {
		answer.Del("oauth_verifier")
	}
	return withQuery(f.redirectURI, answer)
}

// denyOAuth1 is where the browser is led when the person has declined. RFC 5849 does
// not say how that is told.
func (v *Vendor) denyOAuth1(f *flow, s *Settings) string {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	f.request.used = true
	switch s.OAuth1.Denied {
	case "denied":
		return withQuery(f.redirectURI, url.Values{"denied": {f.request.text}})
	case "error":
		return withQuery(f.redirectURI, url.Values{"error": {"access_denied"}, "oauth_token": {f.request.text}})
	}
	return withQuery(f.redirectURI, url.Values{"oauth_problem": {"permission_denied"}, "oauth_token": {f.request.text}})
}

// serveAccessToken answers a verifier with token credentials (RFC 5849 section 2.3).
func (c *call) serveAccessToken() {
	if !c.allowSigned(http.MethodPost) {
		return
	}
	s, p := c.verify(func(token, consumer string) (string, *problem) {
		c.sim.store.mu.Lock()
		defer c.sim.store.mu.Unlock()
		t := c.sim.store.requests[token]
		if t == nil || t.consumer.ID != consumer || !c.now.Before(t.expires) {
			return "", &problem{status: http.StatusUnauthorized, word: "token_rejected", advice: "the request token is unknown or expired"}
		}
		return t.secret, nil
	})
	if p != nil {
		c.refuseSigned(p)
		return
	}
	answer, g, p := c.sim.store.verified(s, c.now)
	if p != nil {
		c.refuseSigned(p)
		return
	}
	c.count(func(n *Counts) {
		n.Redeemed++
		c.record.ClientID, c.record.Account = g.client, g.account
	})
	if in := c.settings.AccountIn; in != "" {
		answer.Set(in, g.account)
	}
	c.answerForm(answer)
}

// verified redeems a verifier, once.
func (s *store) verified(call signedCall, now time.Time) (url.Values, *grant, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.requests[call.oauth["oauth_token"]]
	switch {
	case t == nil || t.used:
		return nil, nil, &problem{status: http.StatusUnauthorized, word: "token_used", advice: "the request token is used"}
	case t.verifier == "":
		return nil, nil, &problem{status: http.StatusUnauthorized, word: "permission_unknown", advice: "the person has not decided"}
	case call.oauth["oauth_verifier"] != t.verifier:
		return nil, nil, &problem{status: http.StatusUnauthorized, word: "verifier_invalid", advice: "oauth_verifier is missing or wrong"}
	}
	t.used = true
	s.grants = append(s.grants, t.grant)
	text, tokenSecret := secret("token-"), secret("token-secret-")
	t.grant.access = text
	// Token credentials live until the consent ends.
	s.access[text] = &accessToken{grant: t.grant, secret: tokenSecret, expires: now.AddDate(100, 0, 0)}
	return url.Values{"oauth_token": {text}, "oauth_token_secret": {tokenSecret}}, t.grant, nil
}

// openSigned returns the consent of a signed call of the API.
func (c *call) openSigned() (*grant, bool) {
	var g *grant
	_, p := c.verify(func(token, consumer string) (string, *problem) {
		found, t, reason := c.sim.store.find(token, c.now)
		if found == nil || t.secret == "" || found.client != consumer {
			return "", &problem{status: http.StatusUnauthorized, word: "token_rejected", advice: reason}
		}
		g = found
		return t.secret, nil
	})
	if p != nil {
		c.refuseSigned(p)
		return nil, false
	}
	c.opened(g)
	return g, true
}
