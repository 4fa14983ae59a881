// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// maxAdminBody is more than any order needs.
const maxAdminBody = 64 << 10

// adminAPI shows the state of the providers, drops tokens, and begins journeys
// for people, below /delegate/ of Caddy's admin endpoint. It has no state: Caddy
// makes one per configuration, before the apps, and never cleans it up.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.delegate",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements [caddy.AdminRouter].
func (a adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/delegate/status", Handler: caddy.AdminHandlerFunc(a.status)},
		{Pattern: "/delegate/purge", Handler: caddy.AdminHandlerFunc(a.purge)},
		{Pattern: "/delegate/journeys", Handler: caddy.AdminHandlerFunc(a.startConsent)},
	}
}

// providerStatus is a provider's state for operators. It names nobody.
type providerStatus struct {
	Kind string `json:"kind"`

	// Ready is false while the issuer's breaker is not closed: tokens that are
	// at hand still serve, new ones cannot be had. Reason is the code that is
	// answered then.
	Ready  bool            `json:"ready"`
	Reason delegation.Code `json:"reason,omitempty"`

	// PurgeScope is machine or fleet: who hears of a purge.
	PurgeScope string `json:"purge_scope"`

	// Refused is how many requests were refused in the last ten minutes, by code.
	Refused map[delegation.Code]int `json:"refused,omitempty"`

	// EverybodyRefused is the code that the last twenty people were refused with,
	// as long as nobody was let in since.
	EverybodyRefused delegation.Code `json:"everybody_refused,omitempty"`

	tokens.Status
}

// sessionStatus is what app_session has refused.
type sessionStatus struct {
	Refused          map[delegation.Code]int `json:"refused"`
	EverybodyRefused delegation.Code         `json:"everybody_refused,omitempty"`
}

func (p *provider) status() providerStatus {
	s := providerStatus{Kind: p.kind(), PurgeScope: "machine", Status: p.state.tokens.Status()}
	s.Refused, s.EverybodyRefused = p.refusals.status()
	s.Ready, s.Reason = s.Issuer.State == blame.Closed, s.Issuer.Code
	if s.Shared != nil {
		s.PurgeScope = "fleet"
	}
	return s
}

// status answers GET /delegate/status.
func (adminAPI) status(w http.ResponseWriter, r *http.Request) error {
	app, err := activeApp(w, r, http.MethodGet)
	if err != nil {
		return err
	}
	all := make(map[string]providerStatus)
	for name, p := range app.providers {
		all[name] = p.status()
	}
	answer := map[string]any{"providers": all}
	var sessions sessionStatus
	if sessions.Refused, sessions.EverybodyRefused = app.refusals.status(); len(sessions.Refused) > 0 {
		answer["sessions"] = sessions
	}
	return writeJSON(w, http.StatusOK, answer)
}

// activeApp is the app of the configuration that is running, for a request of
// the one method.
func activeApp(w http.ResponseWriter, r *http.Request, method string) (*App, error) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method not allowed: use %s", method)}
	}
	app, err := configuredApp(caddy.ActiveContext())
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	return app, nil
}

// readAdminRequest reads what the app that is running is ordered to do, by POST with a
// JSON object of the given form. A page of another site can post a form or
// plain text to localhost without asking, but no JSON.
func readAdminRequest[T any](w http.ResponseWriter, r *http.Request, form string) (*App, *T, error) {
	app, err := activeApp(w, r, http.MethodPost)
	if err != nil {
		return nil, nil, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, nil, badRequest(errors.New("send the header Content-Type: application/json"))
	}
	order, err := decodeAdminRequest[T](http.MaxBytesReader(w, r.Body, maxAdminBody), form)
	if err != nil {
		return nil, nil, badRequest(err)
	}
	return app, order, nil
}

// decodeAdminRequest reads one JSON object of the given form. There may be none. Its
// errors quote nothing of it: Caddy logs them, and it names a person.
func decodeAdminRequest[T any](body io.Reader, form string) (*T, error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	var order *T
	err := d.Decode(&order)
	if errors.Is(err, io.EOF) {
		return new(T), nil
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
	}
	if err != nil || order == nil {
		return nil, errors.New("the body is no JSON object of " + form)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object: send one")
	}
	return order, nil
}

func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

// Interface guards
var _ caddy.AdminRouter = adminAPI{}
