// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/subtle"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// oauthErrors are Ory's descriptions by RFC 6749's codes.
var oauthErrors = map[string]string{
	"invalid_request":        "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than once, or is otherwise malformed.",
	"invalid_client":         "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method).",
	"invalid_scope":          "The requested scope is invalid, unknown, or malformed.",
	"unauthorized_client":    "The client is not authorized to request a token using this method.",
	"unsupported_grant_type": "The authorization grant type is not supported by the authorization server.",
}

// oauthError is an error code of RFC 6749, with the hint that follows its description.
type oauthError struct{ code, hint string }

func (c *call) serveOP() {
	if c.area != areaToken {
		c.fail(http.StatusNotFound, "no such resource")
		return
	}
	if c.Method != http.MethodPost {
		c.notAllowed(http.MethodPost)
		return
	}
	form, refusal := c.tokenForm()
	if refusal == nil {
		refusal = c.checkClient(form)
	}
	if refusal == nil {
		refusal = c.grantToken(form)
	}
	if refusal != nil {
		status := http.StatusBadRequest
		if refusal.code == "invalid_client" {
			status = http.StatusUnauthorized
		}
		c.refuseToken(status, refusal)
	}
}

// tokenForm reads the form from the body alone: what is in the query does not count.
func (c *call) tokenForm() (url.Values, *oauthError) {
	if t, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, &oauthError{"invalid_request", "The POST body can not be empty."} // so it looks to Ory
	}
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		return nil, &oauthError{"invalid_request", "Unable to parse HTTP body, make sure to send a properly formatted form request body."}
	}
	if len(c.PostForm) == 0 {
		return nil, &oauthError{"invalid_request", "The POST body can not be empty."}
	}
	if c.PostForm.Get("grant_type") == "" {
		return nil, &oauthError{"invalid_request", "Request parameter 'grant_type' is missing"}
	}
	return c.PostForm, nil
}

// checkClient wants HTTP Basic and nothing else. Ory decodes ID and secret
// once more after base64 (RFC 6749 section 2.3.1), so an unencoded secret with
// a percent or plus sign is a wrong one.
func (c *call) checkClient(form url.Values) *oauthError {
	if form.Has("client_secret") || form.Has("client_assertion") {
		return &oauthError{"invalid_client", "The OAuth 2.0 Client supports client authentication method 'client_secret_basic', but another one was requested."}
	}
	id, secret, ok := c.BasicAuth()
	if !ok {
		return &oauthError{"invalid_client", "Client credentials missing or malformed in the HTTP Authorization header."}
	}
	id, err := url.QueryUnescape(id)
	if err != nil {
		return &oauthError{"invalid_request", `The client id in the HTTP authorization header could not be decoded from "application/x-www-form-urlencoded".`}
	}
	secret, err = url.QueryUnescape(secret)
	if err != nil {
		return &oauthError{"invalid_request", `The client secret in the HTTP authorization header could not be decoded from "application/x-www-form-urlencoded".`}
	}
	if id != c.sim.clientID {
		return &oauthError{"invalid_client", "The requested OAuth 2.0 Client does not exist."}
	}
	if subtle.ConstantTimeCompare([]byte(secret), []byte(*c.sim.clientSecret.Load())) != 1 {
		return &oauthError{"invalid_client", "The provided client secret does not match."}
	}
	return nil
}

func (c *call) grantToken(form url.Values) *oauthError {
	if form.Get("grant_type") != "client_credentials" {
		return &oauthError{"unsupported_grant_type", ""}
	}
	// Not Fields: a tab is part of a scope's name. No scope at all is granted,
	// and opens nothing.
	scopes := slices.DeleteFunc(strings.Split(form.Get("scope"), " "), func(s string) bool { return s == "" })
	for _, s := range scopes {
		if !slices.Contains(c.settings.Scopes, s) {
			return &oauthError{"invalid_scope", fmt.Sprintf("The OAuth 2.0 Client is not allowed to request scope '%s'.", s)}
		}
	}
	if c.settings.TokenError != "" {
		status := c.settings.TokenErrorStatus
		if status == 0 {
			status = http.StatusBadRequest
		}
		c.refuseToken(status, &oauthError{c.settings.TokenError, "The setting tokenError."})
		return nil
	}
	lifetime := c.settings.TokenLifetime
	token := c.sim.tokens.issue(issuedToken{scopes: scopes, expires: c.now.Add(time.Duration(lifetime) * time.Second)}, c.now)
	c.count(func(n *Counts) { n.Tokens++ })
	good := tokenAnswer{"access_token": token, "expires_in": lifetime, "scope": strings.Join(scopes, " "), "token_type": "bearer"}
	if bad := tokenAnswers[c.settings.TokenAnswer]; bad != nil {
		bad(c, good)
		return nil
	}
	c.oauthAnswer(http.StatusOK, good)
	return nil
}

func (c *call) refuseToken(status int, e *oauthError) {
	c.recordReason(e.code + ": " + e.hint)
	c.count(func(n *Counts) { n.TokenRefusals++ })
	body := map[string]any{"error": e.code, "error_description": strings.TrimSpace(oauthErrors[e.code] + " " + e.hint)}
	if c.settings.LegacyErrors {
		body["error_description"] = oauthErrors[e.code]
		body["error_hint"], body["error_debug"], body["status_code"] = e.hint, "", status
	}
	c.oauthAnswer(status, body)
}

func (c *call) oauthAnswer(status int, body any) {
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Pragma", "no-cache")
	c.jsonAs("application/json;charset=UTF-8", status, body)
}
