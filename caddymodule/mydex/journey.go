// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

const (
	// setupPath is where a journey is begun.
	setupPath = "/ftc/setup"
	// firstVersion and updateVersion are of the agreement: any above the first
	// asks a member who is connected.
	firstVersion, updateVersion = 1, 2

	maxSetup = 256 << 10 // with the image

	// youngToken is how long a token is not renewed because the platform says
	// 401: it is something else.
	youngToken = time.Minute
)

// setup is the question (First Time Connection).
type setup struct {
	NID     string `json:"connection_nid"`
	Hash    string `json:"connection_token_hash"`
	Return  string `json:"return_to"`
	MydexID string `json:"mydexid,omitempty"`
	Version int    `json:"version"`
	Link    string `json:"linking_token"`
}

// Depart implements [delegation.Connector].
func (p *Provider) Depart(ctx context.Context, j delegation.Journey) (*delegation.Departure, error) {
	question := setup{NID: p.config.NID, Hash: p.hash, Version: firstVersion}
	journey := &grants.Journey{Owner: p.owner(j.Person), Kind: grants.Connect, Browser: j.Browser, AnyBrowser: j.AnyBrowser, Life: j.Life}
	store, err := p.opener.Store(ctx)
	if err != nil {
		return nil, refuse(err)
	}
	if j.Update {
		g, err := store.Find(ctx, journey.Owner)
		if err != nil {
			return nil, refuse(err)
		}
		h, err := hold(g)
		if err != nil {
			return nil, refuse(err)
		}
		journey.Kind, question.Version, question.MydexID = grants.Update, updateVersion, h.mydexID
	}
	if err := store.Begin(ctx, journey); err != nil {
		return nil, refuse(err)
	}
	question.Link = journey.Link.Reveal()
	question.Return = j.ReturnTo + "?" + url.Values{"state": {journey.Back.Reveal()}}.Encode()
	d, err := p.setUp(ctx, question)
	if err != nil {
		// Nobody has the page. If this fails as well, it expires by itself.
		_ = store.Abandon(ctx, journey)
		return nil, err
	}
	d.Browser, d.Back, d.Expires = journey.Browser, journey.Back, journey.Expires
	return d, nil
}

// setUp asks for the page that the browser has to go to, once more with a new
// token if the one at hand is not accepted.
func (p *Provider) setUp(ctx context.Context, question setup) (*delegation.Departure, error) {
	token, cached, err := p.tokens.Get(ctx, p.identity([]string{ScopeAll}))
	if err != nil {
		return nil, err
	}
	d, status, err := p.ask(ctx, token, question)
	// A new one would be refused as well, and each costs a call.
	if status == http.StatusUnauthorized && cached && time.Since(token.Minted) > youngToken {
		if token, err = p.tokens.Renew(ctx, p.identity([]string{ScopeAll}), token); err != nil {
			return nil, err
		}
		d, status, err = p.ask(ctx, token, question)
	}
	switch {
	case status == http.StatusUnauthorized:
		return nil, delegation.Refuse(delegation.UpstreamUnauthorized, errors.New("beginning a journey: status 401; have Mydex check that the client may"))
	case status == http.StatusBadRequest:
		return nil, delegation.Refuse(delegation.CredentialsRejected, errors.New("beginning a journey: status 400; check connection_nid, connection_token and the environment"))
	case err != nil:
		return nil, delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("beginning a journey: %w", err))
	}
	return d, nil
}

func (p *Provider) ask(ctx context.Context, token *delegation.Token, question setup) (*delegation.Departure, int, error) {
	text, err := json.Marshal(question)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.config.IdentityURL+setupPath, bytes.NewReader(text))
	if err != nil {
		return nil, 0, errors.New("the address cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if err := (delegation.Bearer{Token: token}).Apply(req); err != nil {
		return nil, 0, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, 0, errors.New("the platform does not answer")
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusOK {
		return nil, res.StatusCode, fmt.Errorf("status %d", res.StatusCode)
	}
	var answer struct {
		URL string `json:"url"`
		QR  string `json:"qr"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxSetup)).Decode(&answer); err != nil {
		return nil, res.StatusCode, errors.New("the answer is no JSON")
	}
	if err := checkPage(answer.URL); err != nil {
		return nil, res.StatusCode, err
	}
	if !strings.HasPrefix(answer.QR, "data:image/") {
		answer.QR = ""
	}
	return &delegation.Departure{URL: answer.URL, QR: answer.QR}, res.StatusCode, nil
}

// checkPage refuses a page that a browser must not be sent to, such as
// javascript:.
func checkPage(page string) error {
	u, err := url.Parse(page)
	if err != nil || u.User != nil || u.Host == "" {
		return errors.New("the answer's url is none")
	}
	if u.RawQuery, u.Fragment, u.Path, u.RawPath = "", "", "", ""; u.Scheme == "https" {
		return nil
	}
	if _, err := delegation.ParseBase("url", "https://login.mydex.org", u.String()); err != nil {
		return errors.New("the answer's url is not https")
	}
	return nil
}

// Arrive implements [delegation.Connector]. The key is tried once, where the
// member has opened a dataset to be read, before it takes another one's place.
func (p *Provider) Arrive(ctx context.Context, a delegation.Arrival) (first bool, err error) {
	store, err := p.opener.Store(ctx)
	if err != nil {
		return false, refuse(err)
	}
	g, first, err := store.Activate(ctx, grants.Arrival{
		Owner: p.owner(a.Person), Back: a.Back, Browser: a.Browser, AnyBrowser: a.AnyBrowser, Try: p.accepts,
	})
	if first {
		p.members.drop(a.Person)
	}
	switch {
	case errors.Is(err, grants.ErrPending):
		return false, delegation.ErrPending
	case errors.Is(err, grants.ErrRefused):
		return first, delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the key that it gave"))
	case err != nil:
		return first, refuse(err)
	case g.State != grants.Active:
		return first, refuse(grants.ErrNone)
	default:
		return first, nil
	}
}

// accepts tells whether the platform accepts a grant. If there is nothing
// better, one that it refuses is put aside, of which there is a bound.
func (p *Provider) accepts(ctx context.Context, g *grants.Grant, better bool) grants.Verdict {
	h, err := hold(g)
	if err != nil || len(h.reads) == 0 {
		return grants.Unknown // found out when it is used
	}
	switch status, err := p.try(ctx, h); {
	case err == nil && status/100 == 2:
		return grants.Accepted
	case err == nil && status == http.StatusUnauthorized && (better || p.members.mayPutAside(g.Person)):
		return grants.Refused
	default:
		return grants.Unknown
	}
}

// Consent implements [delegation.Connector].
func (p *Provider) Consent(ctx context.Context, who delegation.Person) (delegation.Consent, error) {
	store, err := p.opener.Store(ctx)
	if err != nil {
		return "", refuse(err)
	}
	g, err := store.Find(ctx, p.owner(who))
	suspended := err == nil && g.State != grants.Active
	if suspended {
		// It may be time to try it again, together with the calls that do.
		_, err = p.member(ctx, who)
	}
	switch {
	case err == nil:
		return delegation.ConsentConnected, nil
	case errors.Is(err, grants.ErrNone), errors.Is(err, grants.ErrConflict):
	case suspended && delegation.AsRefusal(err).Code == delegation.ConsentRequired:
	default:
		return "", refuse(err)
	}
	switch pending := store.Pending(ctx, p.owner(who)); {
	case pending == nil:
		return delegation.ConsentPending, nil
	case !errors.Is(pending, grants.ErrNone):
		return "", refuse(pending)
	case suspended:
		return delegation.ConsentUpdate, nil
	case errors.Is(err, grants.ErrConflict):
		return "", refuse(err)
	default:
		return delegation.ConsentNone, nil
	}
}

// Part implements [delegation.Connector].
func (p *Provider) Part(ctx context.Context, who delegation.Person) error {
	store, err := p.opener.Store(ctx)
	if err != nil {
		return refuse(err)
	}
	err = store.Forget(ctx, p.owner(who))
	p.members.drop(who)
	if err != nil {
		return refuse(err)
	}
	return nil
}
