// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// tolerated is how far a clock may be off: an assertion is refused that seems
// to be from the future.
const tolerated = 30 * time.Second

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.Question, tell func(delegation.Finding)) {
	p.checking = true // who only looks binds nobody
	c := &checking{Provider: p, question: q}
	steps := []delegation.Step{
		{Name: "private key", Try: p.checkKeys},
		{Name: "platform", Try: c.reach},
		{Name: "clock", Try: c.checkClock},
		{Name: "service token", Try: p.checkService},
		{Name: "project", Try: p.checkProject},
	}
	d := q.Delegation
	if d == nil {
		steps = append(steps, delegation.Step{Name: "scopes", Try: c.checkScopes})
		delegation.Try(ctx, steps, tell)
		return
	}
	steps = append(steps, delegation.Step{Name: "participant", Try: func(ctx context.Context) (detail string, err error) {
		d.Participant, err = p.participantID(ctx, d.Person, d.Claim)
		return "found by " + p.config.Participant.By, err
	}}, delegation.Step{Name: "participant token", Try: c.checkToken})
	if q.Read {
		steps = append(steps, delegation.Step{Name: "read", Try: c.read})
	}
	delegation.Try(ctx, steps, tell)
}

// checking is one check, and what its steps hand on.
type checking struct {
	*Provider
	question delegation.Question
	date     string // the platform's clock, as its answer says
	token    *delegation.Token
}

func (p *Provider) checkKeys(context.Context) (string, error) {
	keys := p.keys.read(p.host.Logger())
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = fmt.Sprintf("RSA of %d bits, SHA-256 of the public key %s", key.N.BitLen(), oauth.PublicFingerprint(key))
	}
	return strings.Join(texts, "; "), nil
}

// reach finds out whether the platform answers at all.
func (c *checking) reach(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.config.BaseURL+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w; check base_url, and http if there is a proxy", c.upstream.Host, oauth.Unreachable(err))
	}
	_ = res.Body.Close()
	c.date = res.Header.Get("Date")
	return c.upstream.Host + " answers", nil
}

// checkClock compares this machine's clock with the platform's.
func (c *checking) checkClock(context.Context) (string, error) {
	at, err := http.ParseTime(c.date)
	if err != nil {
		return "the platform does not tell its time", nil
	}
	off := time.Until(at).Round(time.Second)
	if off.Abs() > tolerated {
		return "", fmt.Errorf("%s: set it right, by NTP", oauth.ClockCause(off))
	}
	return fmt.Sprintf("within %s of the platform's", max(off.Abs(), time.Second)), nil
}

func (p *Provider) checkService(ctx context.Context) (string, error) {
	token, _, err := p.serviceToken(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("from %s, lives %s", p.tokenURL, token.Lifetime()), nil
}

// checkProject needs no participant: it asks for the shortest list there is.
func (p *Provider) checkProject(ctx context.Context) (string, error) {
	err := p.findProject(ctx)
	if errors.Is(err, errNotFound) {
		err = errUnknownProject()
	}
	return "known, and the service account may read its participants", err
}

// checkToken gets a participant's token; where a scope is refused it says which.
func (c *checking) checkToken(ctx context.Context) (_ string, err error) {
	d := c.question.Delegation
	if c.token, _, err = c.tokens.Get(ctx, c.identity(d)); err != nil {
		if delegation.AsRefusal(err).Code != delegation.ScopeRejected {
			return "", err
		}
		return "", c.singly(ctx, d.Participant, c.identity(d).Scopes, err)
	}
	return fmt.Sprintf("for %s, lives %s", c.token.Scope, c.token.Lifetime()), nil
}

// checkScopes finds out which scopes are refused, without a participant: a token
// for a made-up one is asked for. The platform judges the scopes first, and then
// refuses the participant, whom there is not.
func (c *checking) checkScopes(ctx context.Context) (string, error) {
	nobody, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	scopes := c.config.Scopes
	_, err = c.mintParticipant(ctx, nobody.String(), scopes)
	switch {
	case err == nil:
		return "", errors.New("the platform gives a token for a participant whom there is not: ask it why")
	case delegation.AsRefusal(err).Code == delegation.DelegationRefused:
		return "none is refused by itself (" + strings.Join(scopes, " ") + "); whether a participant gets them, --subject shows", nil
	case delegation.AsRefusal(err).Code == delegation.ScopeRejected:
		return "", c.singly(ctx, nobody.String(), scopes, err)
	default:
		return "", err
	}
}

// singly tries each scope by itself, as one bad one fails the whole request,
// and returns what to say of them. whole is what the whole request came to.
func (c *checking) singly(ctx context.Context, participant string, scopes []string, whole error) error {
	var refused, granted []string
	for _, scope := range scopes {
		_, err := c.mintParticipant(ctx, participant, []string{scope})
		if err != nil && delegation.AsRefusal(err).Code == delegation.ScopeRejected {
			if by := c.question.AskedBy(scope); by != "" {
				scope += " (asked for by allow " + by + ")"
			}
			refused = append(refused, scope)
			continue
		}
		if err != nil && delegation.AsRefusal(err).Code != delegation.DelegationRefused {
			return whole // that is not about scopes any more
		}
		granted = append(granted, scope)
	}
	if len(refused) == 0 {
		return fmt.Errorf("%w; each by itself is granted", whole)
	}
	said := "tried one by one, the platform refuses " + strings.Join(refused, ", ")
	if len(granted) > 0 {
		said += " and none of " + strings.Join(granted, " ")
	}
	return delegation.Refuse(delegation.ScopeRejected, errors.New(said+": compare them with what Designer says that the service account may delegate"))
}

// read sends the request and tells how it ends, never what it says.
func (c *checking) read(ctx context.Context) (string, error) {
	d := c.question.Delegation
	req, err := http.NewRequestWithContext(ctx, d.Method, c.config.BaseURL+d.URI, nil)
	if err != nil {
		return "", errors.New("the path makes no address")
	}
	if err := (delegation.Bearer{Token: c.token}).Apply(req); err != nil {
		return "", err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return "", oauth.Unreachable(err)
	}
	defer res.Body.Close()
	size, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return "", oauth.Unreachable(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", errors.New(delegation.StatusCause(res.StatusCode))
	}
	return fmt.Sprintf("status %d, %d bytes", res.StatusCode, size), nil
}
