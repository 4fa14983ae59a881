// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() {
	caddy.RegisterModule(TokenHandler{})
}

// TokenHandler hands the signed-in user's participant token to an SDK that
// has to hold one. It answers POST with JSON:
//
//	{"access_token": "…", "token_type": "Bearer", "expires_in": 3600, "scope": "…", "base_url": "https://mydatahelps.org/"}
//
// `expires_in` are whole seconds that remain, at most until the session ends
// and at most 86400. A token that is soon to expire is not handed out again:
// a new one is minted when less than 300 s remain, or less than the half of
// its lifetime and of the SDK's lead time of 120 s, whichever is smaller.
//
// If the platform's tokens live 150 s or less, a person gets at most one
// answer per quarter of that lifetime and 429 with Retry-After otherwise.
type TokenHandler struct {
	ProviderDirective

	// Scopes the handed-out token has; they must be among the provider's.
	// Default: the provider's.
	Scopes []string `json:"scopes,omitempty"`

	// Proxy makes the response fit the proxy instead: a placeholder in place of
	// the token, and this path (such as /mdh/) of the same site, or this URL,
	// as base_url. An SDK is then set up by the same line in both modes, and
	// never holds a token. A user who is no participant is refused all the same,
	// with the codes of delegate_proxy. Default: hand out the token.
	Proxy string `json:"proxy,omitempty"`

	// SessionExpires is the placeholder that tells when the session ends, in
	// seconds since 1970 or as an RFC 3339 time. Default: `{http.auth.user.exp}`.
	SessionExpires string `json:"session_expires,omitempty"`
}

// browserTokenResponse is the JSON body of the response: as a token endpoint has it
// (RFC 6749 section 5.1), with the base URL for an SDK. ExpiresIn is in seconds.
type browserTokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
	BaseURL     string `json:"base_url"`
}

// CaddyModule returns the Caddy module information.
func (TokenHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.delegate_token",
		New: func() caddy.Module { return new(TokenHandler) },
	}
}

// Provision checks the settings.
func (h *TokenHandler) Provision(ctx caddy.Context) error {
	if err := h.ProviderDirective.provision(ctx); err != nil {
		return err
	}
	if !h.provider.canIssueTokens() {
		return fmt.Errorf("provider %s has no tokens that may be handed out: use delegate_proxy", h.Provider)
	}
	if len(h.Scopes) == 0 {
		h.Scopes = h.provider.traits.Scopes
	}
	h.Scopes = slices.Compact(slices.Sorted(slices.Values(h.Scopes)))
	for _, scope := range h.Scopes {
		if !slices.Contains(h.provider.traits.Scopes, scope) {
			return fmt.Errorf("scope %s is not among those of provider %s: add it there", scope, h.Provider)
		}
	}
	if h.SessionExpires == "" {
		h.SessionExpires = defaultExpires
	}
	if err := checkPlaceholder(h.SessionExpires); err != nil {
		return fmt.Errorf("session_expires: %w", err)
	}
	return checkProxyURL(h.Proxy)
}

// ServeHTTP answers with a token, or refuses.
func (h *TokenHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.delegate.provider", h.providerName)
	user := h.signedInUser(r, repl)
	switch result := h.checkOrigin(w, r, false, user).(type) {
	case answered:
		return nil
	case refused:
		return h.refuse(w, r, result.cause)
	}
	if r.Method != http.MethodPost {
		return h.refuse(w, r, &delegation.Refusal{Code: delegation.MethodNotAllowed, Allow: []string{http.MethodPost}})
	}
	response, err := h.newResponse(r, repl, user)
	if err != nil {
		return h.refuse(w, r, err)
	}
	countRequest(h.Provider, "", outcomeAnswered)
	if h.Proxy == "" { // with it nobody was looked up
		h.provider.refusals.recordAdmission()
	}
	return writeJSON(w, http.StatusOK, response)
}

// newResponse finds the participant and a token for them. An error is a
// [delegation.Refusal] or a fault.
func (h *TokenHandler) newResponse(r *http.Request, repl *caddy.Replacer, user *signedInUser) (*browserTokenResponse, error) {
	person, err := h.person(r, repl, user)
	if err != nil {
		return nil, err
	}
	limit, err := h.remainingSession(repl, user)
	if err != nil {
		return nil, err
	}
	d := &delegation.Delegation{
		Provider: h.Provider, Person: person, Claim: h.participantClaim(repl, user, person),
		Scopes: h.Scopes, Method: r.Method, URI: requestTarget(r.URL),
	}
	if h.Proxy != "" {
		// A user who is no participant is refused here, where a page can show
		// it: an SDK would meet the same refusal at every call, and name no reason.
		if err := h.provider.checkParticipant(r.Context(), d); err != nil {
			return nil, err
		}
		return &browserTokenResponse{
			AccessToken: placeholderToken, TokenType: "Bearer", ExpiresIn: int64(limit / time.Second),
			Scope: strings.Join(h.Scopes, " "), BaseURL: absoluteURL(r, h.Proxy),
		}, nil
	}
	token, err := h.provider.issueToken(r.Context(), d, hasEnoughLife)
	if err != nil {
		return nil, err
	}
	repl.Set("http.delegate.cache", cacheStatus(d.Cached))
	remaining := min(time.Until(token.Expires), limit)
	if err := h.checkPace(person, minHandoutInterval(token.Lifetime(), remaining)); err != nil {
		return nil, err
	}
	return &browserTokenResponse{
		AccessToken: token.Access.Reveal(), TokenType: "Bearer", ExpiresIn: int64(remaining / time.Second),
		Scope: token.Scope, BaseURL: h.provider.traits.BaseURL,
	}, nil
}

// checkPace refuses, with too_many_requests, a person who was answered less than
// wait ago, and otherwise begins the wait for their next response. No wait is not
// paced.
func (h *TokenHandler) checkPace(p delegation.Person, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	handouts := h.provider.state.tokenPacing
	handouts.DeleteExpired()
	key := strings.Join([]string{strconv.Quote(p.Realm), strconv.Quote(p.Subject), strings.Join(h.Scopes, " ")}, " ")
	if err := handouts.Add(key, nil, wait); err != nil {
		_, until, _ := handouts.GetWithExpiration(key)
		return &delegation.Refusal{Code: delegation.TooManyRequests, RetryAfter: time.Until(until)}
	}
	h.logger.Warn("tokens are too short-lived for the SDK, which renews 120 s before the expiry: answers are paced; lengthen the platform's tokens or the session",
		zap.String("provider", h.Provider), zap.Duration("interval", wait))
	return nil
}

// remainingSession returns how long the user's session still lasts, at most a day,
// also where nothing tells. The error is a refusal with session_required: the
// session has ended, or its end cannot be read.
func (h *TokenHandler) remainingSession(repl *caddy.Replacer, user *signedInUser) (time.Duration, error) {
	value := placeholderValue(repl, user, h.SessionExpires)
	if value == "" {
		return maxExpiresIn, nil
	}
	end, err := parseTime(value)
	if err != nil {
		return 0, delegation.Refuse(delegation.SessionRequired, fmt.Errorf("%s: %w", h.SessionExpires, err))
	}
	left := time.Until(end)
	if left < time.Second {
		return 0, delegation.Refuse(delegation.SessionRequired, errors.New("the session has ended"))
	}
	return min(left, maxExpiresIn), nil
}

// checkProxyURL refuses a base URL that an SDK could not append a path to: it has
// to be a path or an http(s) URL, and to end in a slash.
func checkProxyURL(base string) error {
	if base == "" {
		return nil
	}
	u, err := url.Parse(base)
	if err != nil || !strings.HasSuffix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" ||
		u.Host == "" && (u.Scheme != "" || !strings.HasPrefix(base, "/") || strings.HasPrefix(base, "//")) ||
		u.Host != "" && u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("proxy %s: write a path such as /mdh/, or a URL, that ends in a slash", base)
	}
	return nil
}

// absoluteURL completes a path with the origin the client used: SDKs need a URL
// with an origin. It goes back to that client alone, so a forged Host misleads
// only its sender.
func absoluteURL(r *http.Request, base string) string {
	if !strings.HasPrefix(base, "/") {
		return base
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	return scheme + "://" + r.Host + base
}

// Interface guards
var (
	_ caddy.Provisioner           = (*TokenHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*TokenHandler)(nil)
)
