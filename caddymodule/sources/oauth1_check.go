// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// checkClient asks for a request token that nobody will use: the vendor has to accept
// the client. A vendor that wants another oauth_callback than oob has accepted it.
func (p *oauth1Protocol) checkClient(ctx context.Context) error {
	var protocol []oauth1.Parameter
	if !p.config.CallbackAtAuthorize {
		protocol = []oauth1.Parameter{{Name: "oauth_callback", Value: "oob"}}
	}
	_, err := p.exchange(ctx, "request_token_url", p.config.RequestTokenURL, oauth1.Token{}, protocol...)
	if problem, ok := errors.AsType[oauth1.Problem](err); ok && problem.Kind() == oauth1.RequestFault {
		return nil
	}
	return err
}

// checks implements [protocol].
func (p *oauth1Protocol) checks() []delegation.CheckStep {
	return []delegation.CheckStep{{Name: "client", Run: func(ctx context.Context) (string, error) {
		p.readSecret()
		if err := p.checkClient(ctx); err != nil {
			return "", err
		}
		return "request_token_url answers with a request token", nil
	}}, {Name: "exchange", Run: p.checkExchange}}
}

// page implements [protocol].
func (p *oauth1Protocol) page(context.Context) (*url.URL, url.Values, error) {
	return p.config.AuthURL, url.Values{"oauth_token": {rand.Text()}}, nil
}

// checkExchange exchanges a request token that nobody has: the vendor has to refuse it,
// by whatever status, at an address where it exchanges some.
func (p *oauth1Protocol) checkExchange(ctx context.Context) (string, error) {
	const setting = "access_token_url"
	nobodys := oauth1.Token{Value: delegation.NewSecret("check-" + rand.Text()), Secret: delegation.NewSecret(rand.Text())}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.config.TokenURL.String(), nil)
	if err != nil {
		return "", errors.New("the address of access_token_url cannot be made")
	}
	if err := p.client().Sign(req, nobodys, oauth1.Parameter{Name: "oauth_verifier", Value: rand.Text()}); err != nil {
		return "", err
	}
	req.Header["Accept"] = []string{"*/*"}
	a, err := p.do(req)
	where := delegation.PrintableOrigin(p.config.TokenURL)
	switch {
	case err != nil:
		return "", unreachable(setting, err)
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed, a.status == http.StatusGone, a.status/100 == 3:
		return "", fmt.Errorf("no request token is exchanged at %s, which answers with status %d: correct access_token_url", where, a.status)
	case a.status/100 == 2 && oauth1.ProblemIn(a.header, a.body) == "":
		if _, err := readTokenReply(setting, a); err != nil {
			return "", err
		}
		return "", fmt.Errorf("%s gives a token for a request token that nobody has: correct access_token_url", where)
	case a.status >= http.StatusInternalServerError:
		return "", fmt.Errorf("access_token_url answers with status %d: it fails by itself, or is no address of the exchange", a.status)
	default:
		return fmt.Sprintf("access_token_url refuses a request token that nobody has, with status %d", a.status), nil
	}
}
