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

// toleratedSkew is the greatest difference of clocks that a check accepts: issuers
// refuse assertions that seem to be from the future.
const toleratedSkew = 30 * time.Second

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.CheckRequest, tell func(delegation.Finding)) {
	p.checkOnly = true // a check binds nobody
	c := &checkRun{Provider: p, question: q}
	steps := []delegation.CheckStep{
		{Name: "private key", Run: p.describeKeys},
		{Name: "platform", Run: c.checkPlatform},
		{Name: "clock", Run: c.checkClock},
		{Name: "service token", Run: p.checkService},
		{Name: "project", Run: p.checkProject},
	}
	d := q.Delegation
	if d == nil {
		steps = append(steps, delegation.CheckStep{Name: "scopes", Run: c.tryScopes})
		delegation.RunChecks(ctx, steps, tell)
		return
	}
	steps = append(steps, delegation.CheckStep{Name: "participant", Run: func(ctx context.Context) (detail string, err error) {
		d.Participant, err = p.participantID(ctx, d.Person, d.Claim)
		return "found by " + p.config.Participant.By, err
	}}, delegation.CheckStep{Name: "participant token", Run: c.checkToken})
	if q.Send {
		steps = append(steps, delegation.CheckStep{Name: "read", Run: c.checkRead})
	}
	delegation.RunChecks(ctx, steps, tell)
}

// checkRun is one run of Check, with what its steps hand on.
type checkRun struct {
	*Provider
	question delegation.CheckRequest
	date     string // the platform's Date header
	token    *delegation.Token
}

func (p *Provider) describeKeys(context.Context) (string, error) {
	keys := p.keys.read(p.host.Logger())
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = fmt.Sprintf("RSA of %d bits, SHA-256 of the public key %s", key.N.BitLen(), oauth.PublicFingerprint(key))
	}
	return strings.Join(texts, "; "), nil
}

// checkPlatform checks that the platform answers.
func (c *checkRun) checkPlatform(ctx context.Context) (string, error) {
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

// checkClock checks this machine's clock against the platform's.
func (c *checkRun) checkClock(context.Context) (string, error) {
	at, err := http.ParseTime(c.date)
	if err != nil {
		return "the platform does not tell its time", nil
	}
	off := time.Until(at).Round(time.Second)
	if off.Abs() > toleratedSkew {
		return "", fmt.Errorf("%s: set it right, by NTP", oauth.ClockSkewCause(off))
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

// checkProject checks that the platform knows the project, without a participant.
func (p *Provider) checkProject(ctx context.Context) (string, error) {
	err := p.findProject(ctx)
	if errors.Is(err, errNotFound) {
		err = errUnknownProject()
	}
	return "known, and the service account may read its participants", err
}

// checkToken obtains a participant's token. If the scopes are refused it says which.
func (c *checkRun) checkToken(ctx context.Context) (_ string, err error) {
	d := c.question.Delegation
	if c.token, _, err = c.tokens.Get(ctx, c.identity(d)); err != nil {
		if delegation.AsRefusal(err).Code != delegation.ScopeRejected {
			return "", err
		}
		return "", c.tryScopesSingly(ctx, d.Participant, c.identity(d).Scopes, err)
	}
	return fmt.Sprintf("for %s, lives %s", c.token.Scope, c.token.Lifetime()), nil
}

// tryScopes finds out which scopes are refused, without a participant: it asks for
// the token of a made-up one. The platform checks the scopes before it refuses the
// participant, who does not exist.
func (c *checkRun) tryScopes(ctx context.Context) (string, error) {
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
		return "", c.tryScopesSingly(ctx, nobody.String(), scopes, err)
	default:
		return "", err
	}
}

// tryScopesSingly tries each scope by itself, because one bad scope fails the whole
// request, and returns an error that names the refused ones. whole is the error of
// the whole request.
func (c *checkRun) tryScopesSingly(ctx context.Context, participant string, scopes []string, whole error) error {
	var refused, granted []string
	for _, scope := range scopes {
		_, err := c.mintParticipant(ctx, participant, []string{scope})
		if err != nil && delegation.AsRefusal(err).Code == delegation.ScopeRejected {
			if by := c.question.RoutesRequiring(scope); by != "" {
				scope += " (asked for by allow " + by + ")"
			}
			refused = append(refused, scope)
			continue
		}
		if err != nil && delegation.AsRefusal(err).Code != delegation.DelegationRefused {
			return whole // another failure than that of the scope
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

// checkRead sends the request and returns the answer's status and size, never what it
// says.
func (c *checkRun) checkRead(ctx context.Context) (string, error) {
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
