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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	maxAccount = 1024 // bytes
	maxLabel   = 256  // bytes
)

// finder finds the values of a new consent where the source's look-ups say.
type finder struct {
	config   *Config
	host     *sourceHost
	reply    *tokenReply
	redirect url.Values
	as       delegation.Credential // of the new consent, for calls to the API
	secrets  []delegation.Secret   // that neither account nor label may repeat

	answers map[string]map[string]any // of the addresses that were asked
}

// find returns the first value that there is: nil if none. The error is a refusal.
func (f *finder) find(ctx context.Context, l *Lookup) (any, error) {
	for ; l != nil; l = l.Or {
		all, err := f.place(ctx, l)
		if err != nil {
			return nil, err
		}
		if value, ok := memberAt(all, l.Path); ok {
			return value, nil
		}
	}
	return nil, nil
}

// place returns the members of a place; nil if the consent has none such.
func (f *finder) place(ctx context.Context, l *Lookup) (map[string]any, error) {
	switch l.In {
	case InReply:
		return f.reply.members, nil
	case InRedirect:
		if values := f.redirect[l.Path]; len(values) == 1 {
			return map[string]any{l.Path: values[0]}, nil
		}
		return nil, nil
	case InIDToken:
		token, _ := f.reply.members["id_token"].(string)
		if token == "" {
			return nil, nil
		}
		claims, err := jwtClaims(token)
		if err != nil || !isFor(claims["aud"], f.config.ClientID) {
			// Another client's ID token would be another person's account.
			return nil, delegation.Refuse(delegation.IssuerUnavailable, errors.New("the answer's id_token cannot be read, or is for another client"))
		}
		return claims, nil
	case InAccess:
		claims, err := jwtClaims(f.reply.tokens.Access.Reveal())
		if err != nil {
			return nil, nil
		}
		return claims, nil
	default:
		return f.get(ctx, l.URL)
	}
}

// isFor reports whether the audience of an ID token is or has the client.
func isFor(audience any, client string) bool {
	switch audience := audience.(type) {
	case string:
		return audience == client
	case []any:
		return slices.Contains(audience, any(client))
	default:
		return false
	}
}

// get asks the vendor with the new access token, once for each address; and once more
// if that fails, because the code cannot be exchanged again.
func (f *finder) get(ctx context.Context, u *url.URL) (map[string]any, error) {
	address := u.String()
	if all, ok := f.answers[address]; ok {
		return all, nil
	}
	a, err := f.host.getAs(ctx, f.config, u, f.as)
	if err != nil || a.status >= http.StatusInternalServerError {
		a, err = f.host.getAs(ctx, f.config, u, f.as)
	}
	const what = "asking for the account"
	if err != nil {
		return nil, unreachable(what, err)
	}
	if a.status/100 != 2 {
		return nil, a.refusal(what)
	}
	all, err := a.members()
	if err != nil {
		return nil, unreachable(what, err)
	}
	if f.answers == nil {
		f.answers = make(map[string]map[string]any)
	}
	f.answers[address] = all
	return all, nil
}

// getAs asks one of the API's addresses as a person.
func (h *sourceHost) getAs(ctx context.Context, c *Config, u *url.URL, as delegation.Credential) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	if err := (&credential{as, c.APIHeaders, c.APIRefused}).Apply(req); err != nil {
		return nil, err
	}
	return h.do(req)
}

// account returns whose account was connected.
func (f *finder) account(ctx context.Context) (string, error) {
	value, err := f.find(ctx, f.config.Account)
	if err != nil {
		return "", err
	}
	account, ok := textAt(map[string]any{"": value}, "")
	// A segment of dots would be another address in a call with {account} in its path.
	if !ok || account == "." || account == ".." || !delegation.IsLine(account, maxAccount) || f.holdsSecret(account) {
		return "", delegation.Refuse(delegation.IssuerUnavailable,
			fmt.Errorf("the account is missing, or no number or text of 1 to %d bytes without control characters, or dots alone: check where the source looks for it", maxAccount))
	}
	return account, nil
}

// label returns how the account is shown to its owner; empty if the vendor does not
// say, or with something that is no line of text.
func (f *finder) label(ctx context.Context) (string, error) {
	value, err := f.find(ctx, f.config.Label)
	if err != nil {
		return "", err
	}
	label, ok := textAt(map[string]any{"": value}, "")
	if !ok || !delegation.IsLine(label, maxLabel) || f.holdsSecret(label) {
		return "", nil
	}
	return label, nil
}

// granted returns the granted scopes by the vendor's own word; nil if it says none.
func (f *finder) granted(ctx context.Context) ([]string, error) {
	if f.config.Granted == nil {
		return f.reply.scopes, nil
	}
	value, err := f.find(ctx, f.config.Granted)
	if err != nil || value == nil {
		return nil, err
	}
	return f.config.scopeList(value), nil
}

// holdsSecret reports whether a text that browsers and operators are told repeats one
// of the tokens.
func (f *finder) holdsSecret(text string) bool {
	for _, s := range f.secrets {
		if s.Reveal() != "" && strings.Contains(text, s.Reveal()) {
			return true
		}
	}
	return false
}
