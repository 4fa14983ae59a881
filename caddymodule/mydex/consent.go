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

// StartConsent implements [delegation.ConsentStarter].
func (p *Provider) StartConsent(ctx context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	question := setupRequest{
		NID: p.config.ConnectionNID, Hash: p.connectionTokenHash, Version: firstVersion,
		LinkingToken: flow.CorrelationID.Reveal(), Return: flow.ReturnURL,
	}
	if flow.Update {
		decoded, err := decodedOf(flow.Grant)
		if err != nil {
			return nil, err
		}
		question.Version, question.MydexID = updateVersion, decoded.mydexID
	}
	return p.requestConsentPage(ctx, question)
}

// requestConsentPage asks for the page that the browser has to go to, once more
// with a new token if the one at hand is not accepted.
func (p *Provider) requestConsentPage(ctx context.Context, question setupRequest) (*delegation.ConsentPage, error) {
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
func (p *Provider) postSetup(ctx context.Context, token *delegation.Token, question setupRequest) (*delegation.ConsentPage, int, error) {
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
	return &delegation.ConsentPage{URL: answer.URL, QR: answer.QR}, res.StatusCode, nil
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
