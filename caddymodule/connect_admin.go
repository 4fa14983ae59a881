// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// consentStartRequest is the body of POST /delegate/journeys.
type consentStartRequest struct {
	Provider string `json:"provider"`
	Realm    string `json:"realm"`
	Subject  string `json:"subject"`
	URL      string `json:"url"`
	Update   bool   `json:"update"`
	Source   string `json:"source"`
	User     string `json:"user"`
}

// consentStartFields says in errors what the body may have.
const consentStartFields = "the strings provider, realm and subject, of url, a delegate_connect's, where there are several, and of update, which is true or false; with data sources source, and user, how the page calls them"

// startConsent serves POST /delegate/journeys: it begins a consent flow for a
// person whom the operator names, and who has to sign in to complete it. The answer
// is that of POST /start.
func (adminAPI) startConsent(w http.ResponseWriter, r *http.Request) error {
	app, body, err := readAdminRequest[consentStartRequest](w, r, consentStartFields)
	if err != nil {
		return err
	}
	if body.Provider == "" || body.Realm == "" || body.Subject == "" {
		return badRequest(errors.New("provider, realm and subject are needed: realm and subject are the app's names of the user; without app_session the realm is default"))
	}
	c, err := body.findConnect(app)
	if err != nil {
		return err
	}
	source, err := body.findSource(c)
	if err != nil {
		return err
	}
	started, err := c.startConsent(r.Context(), source, grants.StartRequest{
		Person: delegation.Person{Realm: body.Realm, Subject: body.Subject}, Update: body.Update,
		AnyBrowser: !c.hasSources(), Ticket: c.hasSources(), User: cmp.Or(body.User, body.Subject),
	}, actorOperator)
	if err != nil {
		refusal := delegation.AsRefusal(err)
		if err = refusal; refusal.Unwrap() != nil {
			err = fmt.Errorf("%w: %w", refusal, refusal.Unwrap())
		}
		return caddy.APIError{HTTPStatus: refusal.Status(), Err: err}
	}
	return writeJSON(w, http.StatusOK, c.startResponse(source, started))
}

// findSource returns the data source that is to be connected; for a provider without
// any, its platform.
func (body *consentStartRequest) findSource(c *Connect) (*connectSource, error) {
	if !c.hasSources() {
		if body.Source != "" || body.User != "" {
			return nil, badRequest(errors.New("source and user are for a provider with data sources: leave them out"))
		}
		return c.own, nil
	}
	source := c.sourceNamed(body.Source)
	switch {
	case body.Source == "":
		return nil, badRequest(errors.New("source is needed: the name of a data source of the provider"))
	case source == nil:
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("the provider has no such data source")}
	case source.hasEnded():
		return nil, badRequest(errors.New("the vendor has ended this data source: nobody can connect it any more"))
	}
	return source, nil
}

// findConnect returns the delegate_connect at which the flow is to be completed. Of
// several with the same address it is the one with the shortest cross_device.
func (body *consentStartRequest) findConnect(app *App) (*Connect, error) {
	p, ok := app.providers[body.Provider]
	if !ok {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("there is no such provider")}
	}
	var found *Connect
	for _, c := range p.connectHandlers {
		switch {
		case body.URL != "" && body.URL != c.baseURL.String(), c.Realm != "" && c.Realm != body.Realm:
		case found != nil && found.baseURL.String() != c.baseURL.String():
			return nil, badRequest(errors.New("several delegate_connect of the provider have cross_device: name one by its url"))
		case found == nil || c.CrossDevice < found.CrossDevice:
			found = c
		}
	}
	if found == nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no delegate_connect of the provider has cross_device, that url and that realm")}
	}
	return found, nil
}
