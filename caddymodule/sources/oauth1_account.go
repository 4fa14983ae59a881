// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// checkLookup refuses a lookup in what OAuth 1.0a does not have.
func checkLookup(setting string, l *Lookup) error {
	for ; l != nil; l = l.Or {
		switch {
		case l.In == InAnswer && l.URL == nil:
			return fmt.Errorf("%s: the address to ask is missing", setting)
		case l.In != InAnswer && l.In != InReply && l.In != InRedirect:
			return fmt.Errorf("%s: OAuth 1.0a has no %s: look in reply, redirect or get", setting, l.In)
		}
	}
	return nil
}

// result returns what the consent has led to. A vendor that does not say whose account
// it is gets a random name for it, which a person keeps when they connect again:
// without, every time would be another account.
func (p *oauth1Protocol) result(ctx context.Context, r *delegation.Redemption, reply url.Values) (*delegation.ConsentResult, error) {
	res := &delegation.ConsentResult{
		Secret: delegation.NewSecret(reply.Get("oauth_token_secret")),
		Tokens: delegation.GrantTokens{Access: delegation.NewSecret(reply.Get("oauth_token"))},
	}
	l := oauth1Lookup{protocol: p, reply: reply, redirect: r.Handed, token: oauth1.Token{Value: res.Tokens.Access, Secret: res.Secret}}
	switch {
	case p.config.Account != nil:
		var err error
		if res.Account, err = l.find(ctx, "account", p.config.Account, maxAccount); err != nil {
			return nil, err
		}
	case r.Grant != nil:
		res.Account = r.Grant.Account
	default:
		res.Account = rand.Text()
	}
	if p.config.Label != nil {
		// What is only shown must not cost the person their consent.
		res.Label, _ = l.find(ctx, "label", p.config.Label, maxLabel)
	}
	if p.config.Granted != nil {
		granted, err := l.find(ctx, "granted", p.config.Granted, maxToken)
		if err != nil {
			return nil, err
		}
		separator := p.config.ScopeSeparator
		if separator == "" {
			separator = " "
		}
		res.Scopes = strings.Split(granted, separator)
	}
	return res, nil
}

// oauth1Lookup is where the values of one new consent are found.
type oauth1Lookup struct {
	protocol        *oauth1Protocol
	reply, redirect url.Values
	token           oauth1.Token
}

// find returns a value of 1 to limit bytes. The error is [*delegation.Refusal]
// issuer_unavailable: the vendor's next answer may have it.
func (l *oauth1Lookup) find(ctx context.Context, setting string, at *Lookup, limit int) (string, error) {
	var failed error
	for ; at != nil; at = at.Or {
		var value string
		switch at.In {
		case InReply:
			value = l.reply.Get(at.Path)
		case InRedirect:
			value = l.redirect.Get(at.Path)
		case InAnswer:
			var err error
			if value, err = l.ask(ctx, at); err != nil {
				failed = err
			}
		}
		if isLine(value, limit) {
			return value, nil
		}
	}
	if failed == nil {
		failed = errors.New("the vendor's answer has no such value, or one that is too long")
	}
	return "", delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("%s: %w", setting, failed))
}

// ask returns a member of what a GET with the new token answers; empty if it has none.
func (l *oauth1Lookup) ask(ctx context.Context, at *Lookup) (string, error) {
	res, body, err := l.protocol.get(ctx, at.URL, l.token)
	switch {
	case err != nil:
		return "", err
	case res.StatusCode/100 != 2:
		return "", fmt.Errorf("%s: status %d for a new token: check the address", at.URL.Path, res.StatusCode)
	case len(body) > maxOAuth1Answer:
		return "", fmt.Errorf("%s: the answer is larger than %d bytes", at.URL.Path, maxOAuth1Answer)
	}
	all, err := strictjson.Decode(body)
	if err != nil {
		return "", fmt.Errorf("%s: the answer: %w", at.URL.Path, err)
	}
	var value any = all
	for name := range strings.SplitSeq(at.Path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	switch value := value.(type) {
	case string:
		return value, nil
	case json.Number:
		return value.String(), nil
	default:
		return "", nil
	}
}

// get asks one of the vendor's addresses with a person's token, once.
func (p *oauth1Protocol) get(ctx context.Context, address *url.URL, t oauth1.Token) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, nil, errors.New("the address cannot be made")
	}
	req.Header.Set("Accept", "application/json")
	for name, value := range p.config.APIHeaders {
		req.Header.Set(name, value.Reveal())
	}
	if err := p.client().Sign(req, t); err != nil {
		return nil, nil, err
	}
	return p.send(req)
}
