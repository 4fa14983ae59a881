// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// RefreshGrant implements [delegation.GrantRefresher]: it spends the refresh token
// (RFC 6749 section 6). The error is delegation_refused for invalid_grant alone. An
// answer without refresh token leaves the one that there is.
func (p *oauth2Source) RefreshGrant(ctx context.Context, g *delegation.Grant, _ bool) (*delegation.GrantTokens, error) {
	reply, err := p.spend(ctx, g)
	if err != nil {
		return nil, err
	}
	return &reply.tokens, nil
}

// spend is [oauth2Source.RefreshGrant] with all that the vendor has answered.
func (p *oauth2Source) spend(ctx context.Context, g *delegation.Grant) (*tokenReply, error) {
	e, err := p.find(ctx)
	if err != nil {
		return nil, errors.Join(err, delegation.ErrNotSent)
	}
	form := make(url.Values)
	setParams(form, p.config.RefreshParams, openSecret(g).Redirect)
	form.Set("grant_type", "refresh_token")
	form.Set("refresh_token", g.Tokens.Refresh.Reveal())
	reply, err := p.requestToken(ctx, e.refresh, form)
	if err != nil {
		return nil, refusalOfRefresh(err)
	}
	tokens := &reply.tokens
	if tokens.Refresh.Reveal() == "" {
		// The old one stays, and its unused time begins anew.
		tokens.Refresh, tokens.RefreshExpires = g.Tokens.Refresh, g.Tokens.RefreshExpires
		if p.config.RefreshLife > 0 {
			tokens.RefreshExpires = time.Now().Add(p.config.RefreshLife)
		}
	}
	return reply, nil
}

// refusalOfRefresh returns the refusal of a refresh token that was not exchanged. The
// words of a consent say nothing of one that there is.
func refusalOfRefresh(err error) error {
	if r := delegation.AsRefusal(err); r.Code == delegation.ConsentDenied {
		return delegation.Refuse(delegation.IssuerUnavailable, r.Unwrap())
	}
	return err
}

// openSecret returns what a grant's Secret holds; nothing if it cannot be read.
func openSecret(g *delegation.Grant) (s grantSecret) {
	if all, err := strictjson.Decode([]byte(g.Secret.Reveal())); err == nil {
		s.Redirect, _ = all["redirect"].(string)
	}
	return s
}

// expiryMargin is the life from which on an access token is not used any more: the
// request and the clocks take some.
const expiryMargin = time.Minute

// isUsable reports whether a grant has an access token for a request. One whose end the
// vendor does not say is used until it is refused.
func isUsable(g *delegation.Grant) bool {
	return g.Tokens.Access.Reveal() != "" && (g.Tokens.AccessExpires.IsZero() || time.Until(g.Tokens.AccessExpires) > expiryMargin)
}

// unknownLife is how long the engine keeps a token whose end the vendor does not say.
const unknownLife = time.Hour

// tokenOf returns the access token of a grant.
func tokenOf(g *delegation.Grant) *delegation.Token {
	t := &delegation.Token{Access: g.Tokens.Access, Minted: time.Now(), Expires: g.Tokens.AccessExpires}
	if t.Expires.IsZero() {
		t.Expires = t.Minted.Add(unknownLife)
	}
	return t
}

// identity returns what an access token is bound to. It has no scopes: a grant has one
// access token.
func (p *oauth2Source) identity(g *delegation.Grant) delegation.Identity {
	issuer := p.config.FHIRBase
	if p.config.TokenURL != nil {
		issuer = p.config.TokenURL.String()
	}
	return delegation.Identity{Issuer: issuer, Client: p.config.ClientID, Person: g.Person, Participant: g.Account, Config: g.ID}
}

// mint implements [delegation.Mint]: it returns the access token of the grant in the
// database, or has the vendor issue another one.
func (p *oauth2Source) mint(ctx context.Context, id delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	g, err := p.grants.Get(ctx, id.Person)
	if err != nil {
		return nil, err
	}
	if refused == nil && p.isOf(g, id) && isUsable(g) {
		return tokenOf(g), nil
	}
	spent := g.Tokens.Access
	if refused != nil {
		spent = refused.Access
	}
	var tried *delegation.Grant // whose refresh token was sent, by this call
	uncertain := false
	// More than once if what memory has, or the request, is older than the database.
	for range 3 {
		g, err = p.grants.Refresh(ctx, id.Person, spent, func(ctx context.Context, g *delegation.Grant, unsure bool) (*delegation.GrantTokens, error) {
			if g.Tokens.Refresh.Reveal() == "" {
				return nil, errors.Join(delegation.Refuse(delegation.ConsentRequired, errNoRefreshToken), delegation.ErrNotSent)
			}
			tried, uncertain = g, unsure
			return p.RefreshGrant(ctx, g, unsure)
		})
		switch {
		case err != nil:
			return nil, p.refused(ctx, tried, uncertain, err)
		case !p.isOf(g, id):
			return nil, delegation.Refuse(delegation.ConsentRequired, errors.New("the user has connected anew meanwhile"))
		case isUsable(g) || tried != nil:
			return tokenOf(g), nil
		}
		spent = g.Tokens.Access
	}
	return tokenOf(g), nil
}

var errNoRefreshToken = errors.New("the access token has ended, and the vendor has given no refresh token")

// isOf reports whether a grant is the one of an identity. Another one may be of another
// account.
func (p *oauth2Source) isOf(g *delegation.Grant, id delegation.Identity) bool {
	return g.ID == id.Config && g.Account == id.Participant
}

// secondLook is how long after an invalid_grant a second one ends a grant: vendors that
// are in trouble say it, too.
const secondLook = 20 * time.Second

// refused returns the refusal for a refresh that has failed, and suspends the grant
// whose refresh token the vendor does not accept any more: at the second invalid_grant
// some time after the first, or at once if the token may have been spent by somebody who
// has not come back to say what they got for it.
func (p *oauth2Source) refused(ctx context.Context, g *delegation.Grant, uncertain bool, err error) error {
	if g == nil || delegation.AsRefusal(err).Code != delegation.DelegationRefused {
		return err
	}
	isSpent := uncertain && p.config.Refresh != RefreshKept && p.config.Grace == 0
	if !isSpent && !p.doubtful.isSecond(g, time.Now()) {
		return err
	}
	if r := p.grants.Suspend(ctx, g); r != nil {
		return r
	}
	return err // because of its pace: later
}

// doubtfulGrants are the grants whose refresh tokens were refused once, in this process.
type doubtfulGrants struct {
	since *lru.Cache[delegation.Person, time.Time]
}

// The bounds of [doubtfulGrants].
const (
	maxDoubtful  = 10_000
	doubtfulLife = time.Hour
)

func newDoubtfulGrants() *doubtfulGrants {
	return &doubtfulGrants{lru.New[delegation.Person, time.Time](maxDoubtful)}
}

// isSecond notes that the refresh token of a grant was refused, and reports whether it
// was refused before, at least secondLook ago.
func (d *doubtfulGrants) isSecond(g *delegation.Grant, now time.Time) bool {
	key := g.ID + " " + strconv.FormatInt(g.Version, 36) // another refresh token is another version
	since, known := d.since.Get(g.Person, key, now)
	if !known {
		d.since.Set(g.Person, key, now, doubtfulLife, false)
		return false
	}
	return now.Sub(since) >= secondLook
}
