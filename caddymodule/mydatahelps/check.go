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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// tolerated is how far a clock may be off: an assertion is refused that seems
// to be from the future.
const tolerated = 30 * time.Second

// Check implements [delegation.Checker].
func (p *Provider) Check(ctx context.Context, q delegation.Question, tell func(delegation.Finding)) {
	p.checking = true // who only looks binds nobody
	d := q.Delegation
	var token *delegation.Token
	steps := []delegation.Step{
		{Name: "private key", Try: p.checkKeys},
		{Name: "clock", Try: p.checkClock},
		{Name: "service token", Try: p.checkService},
	}
	if d != nil {
		steps = append(steps, delegation.Step{Name: "participant", Try: func(ctx context.Context) (detail string, err error) {
			d.Participant, err = p.participantID(ctx, d.Person, d.Claim)
			return "found by " + p.config.Participant.By, err
		}}, delegation.Step{Name: "participant token", Try: func(ctx context.Context) (detail string, err error) {
			if token, _, err = p.tokens.Get(ctx, p.identity(d)); err != nil {
				return "", err
			}
			return fmt.Sprintf("for %s, lives %s", token.Scope, token.Lifetime()), nil
		}})
	}
	if d != nil && q.Read {
		steps = append(steps, delegation.Step{Name: "read", Try: func(ctx context.Context) (string, error) { return p.read(ctx, d, token) }})
	}
	delegation.Try(ctx, steps, tell)
}

func (p *Provider) checkKeys(context.Context) (string, error) {
	keys := p.keys.read(p.host.Logger())
	sizes := make([]string, len(keys))
	for i, key := range keys {
		sizes[i] = fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	}
	return strings.Join(sizes, ", "), nil
}

// checkClock compares this machine's clock with the platform's.
func (p *Provider) checkClock(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, p.config.BaseURL+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w; check base_url, and http if there is a proxy", p.upstream.Host, oauth.Unreachable(err))
	}
	_ = res.Body.Close()
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return "the platform does not tell its time", nil
	}
	off := time.Until(at).Round(time.Second)
	if off.Abs() > tolerated {
		return "", fmt.Errorf("it is %s off the platform's: set it right, by NTP", off.Abs())
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

// read sends the request and tells how it ends, never what it says.
func (p *Provider) read(ctx context.Context, d *delegation.Delegation, token *delegation.Token) (string, error) {
	req, err := http.NewRequestWithContext(ctx, d.Method, p.config.BaseURL+d.URI, nil)
	if err != nil {
		return "", errors.New("the path makes no address")
	}
	if err := (delegation.Bearer{Token: token}).Apply(req); err != nil {
		return "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", oauth.Unreachable(err)
	}
	defer res.Body.Close()
	size, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return "", oauth.Unreachable(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("the platform answers with status %d: check that the scopes are those of the route", res.StatusCode)
	}
	return fmt.Sprintf("status %d, %d bytes", res.StatusCode, size), nil
}
