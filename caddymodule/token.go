// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() {
	caddy.RegisterModule(TokenHandler{})
	httpcaddyfile.RegisterHandlerDirective("delegate_token", parseToken)
	httpcaddyfile.RegisterDirectiveOrder("delegate_token", httpcaddyfile.Before, "reverse_proxy")
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
	Directive

	// Scopes the handed-out token has; they must be among the provider's.
	// Default: the provider's.
	Scopes []string `json:"scopes,omitempty"`

	// Proxy makes the answer fit the proxy instead: a placeholder in place of
	// the token, and this path (such as /mdh/) of the same site, or this URL,
	// as base_url. An SDK is then set up by the same line in both modes, and
	// never holds a token. Who is no participant is refused all the same, with
	// the codes of delegate_proxy. Default: hand out the token.
	Proxy string `json:"proxy,omitempty"`

	// SessionExpires is the placeholder that tells when the session ends, in
	// seconds since 1970 or as an RFC 3339 time. Default: `{http.auth.user.exp}`.
	SessionExpires string `json:"session_expires,omitempty"`
}

type tokenResponse struct {
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
	if err := h.Directive.provision(ctx); err != nil {
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
	if done, err := h.checkOrigin(w, r, false); err != nil {
		return h.refuse(w, r, err)
	} else if done {
		return nil
	}
	if r.Method != http.MethodPost {
		return h.refuse(w, r, &delegation.Refusal{Code: delegation.MethodNotAllowed, Allow: []string{http.MethodPost}})
	}
	answer, err := h.newResponse(r, repl)
	if err != nil {
		return h.refuse(w, r, err)
	}
	requestsTotal.WithLabelValues(h.Provider, outcomeAnswered).Inc()
	if h.Proxy == "" { // with it nobody was looked up
		h.provider.refusals.recordAdmission()
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (h *TokenHandler) newResponse(r *http.Request, repl *caddy.Replacer) (*tokenResponse, error) {
	person, err := h.person(r, repl)
	if err != nil {
		return nil, err
	}
	limit, err := h.remainingSession(r, repl)
	if err != nil {
		return nil, err
	}
	d := &delegation.Delegation{
		Provider: h.Provider, Person: person, Claim: h.participantClaim(r, repl, person),
		Scopes: h.Scopes, Method: r.Method, URI: requestTarget(r.URL),
	}
	if h.Proxy != "" {
		// Who is no participant is told so here, where a page can show it: an
		// SDK would meet the same refusal at every call, and name no reason.
		if err := h.provider.checkParticipant(r.Context(), d); err != nil {
			return nil, err
		}
		return &tokenResponse{
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
	return &tokenResponse{
		AccessToken: token.Access.Reveal(), TokenType: "Bearer", ExpiresIn: int64(remaining / time.Second),
		Scope: token.Scope, BaseURL: h.provider.traits.BaseURL,
	}, nil
}

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

// parseToken reads:
//
//	delegate_token [<matcher>] <provider> {
//	    scopes            <scopes...>
//	    proxy             <path>
//	    session_expires   <placeholder>
//	    subject           <placeholder>
//	    realm             <name>
//	    proxy_status_name <name>
//	}
func parseToken(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler TokenHandler
	d := h.Dispenser
	d.Next() // directive name
	if err := handler.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate_token takes one provider, not %q as well", d.Val())
	}
	for d.NextBlock(0) {
		var err error
		ok := true
		switch d.Val() {
		case "scopes":
			args := d.RemainingArgs()
			if len(args) == 0 {
				return nil, d.Err("scopes needs at least one scope")
			}
			handler.Scopes = append(handler.Scopes, args...)
		case "proxy":
			if err = parseOnce(d, &handler.Proxy); err == nil && checkProxyURL(handler.Proxy) != nil {
				err = d.WrapErr(checkProxyURL(handler.Proxy))
			}
		case "session_expires":
			if err = parseOnce(d, &handler.SessionExpires); err == nil && checkPlaceholder(handler.SessionExpires) != nil {
				err = d.Errf("session_expires: %v", checkPlaceholder(handler.SessionExpires))
			}
		default:
			ok, err = handler.parseCommon(d)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate_token", d.Val())
		}
	}
	return &handler, handler.checkCommon(d)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*TokenHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*TokenHandler)(nil)
)
