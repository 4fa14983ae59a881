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
	// setupPath is where a consent flow begins (First Time Connection).
	setupPath = "/ftc/setup"
	// firstVersion and updateVersion are versions of the agreement: any above the
	// first asks a member who is connected.
	firstVersion, updateVersion = 1, 2

	maxSetupResponse = 256 << 10 // bytes, with the image

	// minRenewAge is the age below which a token is not renewed because of a 401:
	// something else is wrong, and each token costs a call.
	minRenewAge = time.Minute
)

// setupRequest is the body of POST /ftc/setup.
type setupRequest struct {
	NID          string `json:"connection_nid"`
	Hash         string `json:"connection_token_hash"`
	Return       string `json:"return_to"`
	MydexID      string `json:"mydexid,omitempty"`
	Version      int    `json:"version"`
	LinkingToken string `json:"linking_token"`
}

// BeginConsent implements [delegation.Connector].
func (p *Provider) BeginConsent(ctx context.Context, flow delegation.ConsentFlow) (*delegation.Authorization, error) {
	question := setupRequest{NID: p.config.ConnectionNID, Hash: p.connectionTokenHash, Version: firstVersion}
	stored := &grants.Flow{Owner: p.owner(flow.Person), Kind: grants.FlowConnect, BrowserToken: flow.BrowserToken, AnyBrowser: flow.AnyBrowser, Lifetime: flow.Lifetime}
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return nil, refusalOf(err)
	}
	if flow.Update {
		g, err := store.Find(ctx, stored.Owner)
		if err != nil {
			return nil, refusalOf(err)
		}
		cached, err := decodeGrant(g)
		if err != nil {
			return nil, refusalOf(err)
		}
		stored.Kind, question.Version, question.MydexID = grants.FlowUpdate, updateVersion, cached.mydexID
	}
	if err := store.Begin(ctx, stored); err != nil {
		return nil, refusalOf(err)
	}
	question.LinkingToken = stored.CorrelationID.Reveal()
	question.Return = flow.ReturnURL + "?" + url.Values{"state": {stored.StateToken.Reveal()}}.Encode()
	d, err := p.requestConsentPage(ctx, question)
	if err != nil {
		// Nobody has the page. If this fails as well, the flow expires by itself.
		_ = store.Abandon(ctx, stored)
		return nil, err
	}
	d.BrowserToken, d.State, d.Expires = stored.BrowserToken, stored.StateToken, stored.Expires
	return d, nil
}

// requestConsentPage asks for the page that the browser has to go to, once more
// with a new token if the one at hand is not accepted.
func (p *Provider) requestConsentPage(ctx context.Context, question setupRequest) (*delegation.Authorization, error) {
	token, cached, err := p.tokens.Get(ctx, p.identity([]string{ScopeAll}))
	if err != nil {
		return nil, err
	}
	d, status, err := p.postSetup(ctx, token, question)
	// A new one would be refused as well, and each costs a call.
	if status == http.StatusUnauthorized && cached && time.Since(token.Minted) > minRenewAge {
		if token, err = p.tokens.Renew(ctx, p.identity([]string{ScopeAll}), token); err != nil {
			return nil, err
		}
		d, status, err = p.postSetup(ctx, token, question)
	}
	switch {
	case status == http.StatusUnauthorized:
		return nil, delegation.Refuse(delegation.UpstreamUnauthorized, errors.New("beginning a consent flow: status 401; have Mydex check that the client may"))
	case status == http.StatusBadRequest:
		return nil, delegation.Refuse(delegation.CredentialsRejected, errors.New("beginning a consent flow: status 400; check connection_nid, connection_token and the environment"))
	case err != nil:
		return nil, delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("beginning a consent flow: %w", err))
	}
	return d, nil
}

// postSetup sends the request for a consent page. It returns the answer's status
// also with an error; 0: there is none.
func (p *Provider) postSetup(ctx context.Context, token *delegation.Token, question setupRequest) (*delegation.Authorization, int, error) {
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
	if err := json.NewDecoder(io.LimitReader(res.Body, maxSetupResponse)).Decode(&answer); err != nil {
		return nil, res.StatusCode, errors.New("the answer is no JSON")
	}
	if err := checkConsentPage(answer.URL); err != nil {
		return nil, res.StatusCode, err
	}
	if !strings.HasPrefix(answer.QR, "data:image/") {
		answer.QR = ""
	}
	return &delegation.Authorization{URL: answer.URL, QR: answer.QR}, res.StatusCode, nil
}

// checkConsentPage refuses a page that a browser must not be sent to, such as one
// of javascript:.
func checkConsentPage(page string) error {
	u, err := url.Parse(page)
	if err != nil || u.User != nil || u.Host == "" {
		return errors.New("the answer's url is none")
	}
	if u.RawQuery, u.Fragment, u.Path, u.RawPath = "", "", "", ""; u.Scheme == "https" {
		return nil
	}
	if _, err := delegation.ParseBaseURL("url", "https://login.mydex.org", u.String()); err != nil {
		return errors.New("the answer's url is not https")
	}
	return nil
}

// CompleteConsent implements [delegation.Connector]. The key is probed once, where
// the member has opened a dataset to be read, before it takes another one's place.
func (p *Provider) CompleteConsent(ctx context.Context, a delegation.Return) (first bool, err error) {
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return false, refusalOf(err)
	}
	g, first, err := store.Complete(ctx, grants.Return{
		Owner: p.owner(a.Person), StateToken: a.State, BrowserToken: a.BrowserToken, AnyBrowser: a.AnyBrowser, Probe: p.probeReturned,
	})
	if first {
		p.grantCache.drop(a.Person)
	}
	switch {
	case errors.Is(err, grants.ErrPending):
		return false, delegation.ErrPending
	case errors.Is(err, grants.ErrProbeRefused):
		return first, delegation.Refuse(delegation.ConsentRequired, errors.New("the platform does not accept the key that it gave"))
	case err != nil:
		return first, refusalOf(err)
	case g.State != grants.Active:
		return first, refusalOf(grants.ErrNotFound)
	default:
		return first, nil
	}
}

// probeReturned tells whether the platform accepts the key of a flow's result. If
// the owner has no active grant, a refused one is suspended, which
// [grantCache.maySuspend] bounds.
func (p *Provider) probeReturned(ctx context.Context, g *grants.Grant, better bool) grants.ProbeResult {
	cached, err := decodeGrant(g)
	if err != nil || len(cached.readable) == 0 {
		return grants.ProbeUnknown // its first use tells
	}
	switch status, err := p.probeGrant(ctx, cached); {
	case err == nil && status/100 == 2:
		return grants.ProbeAccepted
	case err == nil && status == http.StatusUnauthorized && (better || p.grantCache.maySuspend(g.Person)):
		return grants.ProbeRefused
	default:
		return grants.ProbeUnknown
	}
}

// ConsentStatus implements [delegation.Connector].
func (p *Provider) ConsentStatus(ctx context.Context, person delegation.Person) (delegation.ConsentStatus, error) {
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return "", refusalOf(err)
	}
	g, err := store.Find(ctx, p.owner(person))
	suspended := err == nil && g.State != grants.Active
	if suspended {
		// It may be time to probe it. This joins the calls that do.
		_, err = p.cachedOrRead(ctx, person)
	}
	switch {
	case err == nil:
		return delegation.ConsentConnected, nil
	case errors.Is(err, grants.ErrNotFound), errors.Is(err, grants.ErrConflict):
	case suspended && delegation.AsRefusal(err).Code == delegation.ConsentRequired:
	default:
		return "", refusalOf(err)
	}
	switch pending := store.Pending(ctx, p.owner(person)); {
	case pending == nil:
		return delegation.ConsentPending, nil
	case !errors.Is(pending, grants.ErrNotFound):
		return "", refusalOf(pending)
	case suspended:
		return delegation.ConsentUpdate, nil
	case errors.Is(err, grants.ErrConflict):
		return "", refusalOf(err)
	default:
		return delegation.ConsentNone, nil
	}
}

// Disconnect implements [delegation.Connector].
func (p *Provider) Disconnect(ctx context.Context, person delegation.Person) error {
	store, err := p.lazyStore.Store(ctx)
	if err != nil {
		return refusalOf(err)
	}
	err = store.DeleteByOwner(ctx, p.owner(person))
	p.grantCache.drop(person)
	if err != nil {
		return refusalOf(err)
	}
	return nil
}
