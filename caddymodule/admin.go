// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// maxPurgeBody is more than any purge needs.
const maxPurgeBody = 64 << 10

// adminAPI shows the state of the providers and drops tokens, below /delegate/
// of Caddy's admin endpoint. It has no state: Caddy makes one per
// configuration, before the apps, and never cleans it up.
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

	tokens.Status
}

func (p *provider) status() providerStatus {
	s := providerStatus{PurgeScope: "machine", Status: p.shared.tokens.Status()}
	if m, ok := p.Provider.(caddy.Module); ok {
		s.Kind = m.CaddyModule().ID.Name()
	}
	s.Ready, s.Reason = s.Issuer.State == tokens.Closed, s.Issuer.Code
	if s.Shared != nil {
		s.PurgeScope = "fleet"
	}
	return s
}

// status answers GET /delegate/status.
func (adminAPI) status(w http.ResponseWriter, r *http.Request) error {
	app, err := liveApp(w, r, http.MethodGet)
	if err != nil {
		return err
	}
	all := make(map[string]providerStatus)
	for name, p := range app.providers {
		all[name] = p.status()
	}
	return answerJSON(w, http.StatusOK, map[string]any{"providers": all})
}

// purgeAnswer is what a purge is answered with.
type purgeAnswer struct {
	Code     string   `json:"code,omitempty"`
	Purged   []string `json:"purged"`
	Complete bool     `json:"complete"`
	Message  string   `json:"message,omitempty"`
}

// purge answers POST /delegate/purge.
func (adminAPI) purge(w http.ResponseWriter, r *http.Request) error {
	app, err := liveApp(w, r, http.MethodPost)
	if err != nil {
		return err
	}
	// A page of another site can post a form or plain text to localhost without
	// asking, but no JSON.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return badRequest(errors.New("a purge needs the header Content-Type: application/json"))
	}
	order, err := readPurge(http.MaxBytesReader(w, r.Body, maxPurgeBody))
	if err != nil {
		return badRequest(err)
	}
	names, err := order.providers(app)
	if err != nil {
		return err
	}
	// A purge that has begun goes on if whoever asked for it leaves.
	answer := app.purge(context.WithoutCancel(r.Context()), names, order)
	status := http.StatusOK
	if !answer.Complete {
		status = http.StatusServiceUnavailable
	}
	return answerJSON(w, status, answer)
}

// purge has the named providers drop who is selected. Sessions end before: they
// would have it fetched again.
func (a *App) purge(ctx context.Context, names []string, order *purgeOrder) purgeAnswer {
	s, answer := order.selection(), purgeAnswer{Purged: names, Complete: true}
	var errs []error
	if order.Sessions {
		errs = append(errs, a.end(ctx, true, session.Ending{Realm: s.Realm, Subject: s.Subject}))
	}
	for _, name := range names {
		errs = append(errs, a.providers[name].purge(ctx, s, order.Release, "admin"))
	}
	if errors.Join(errs...) != nil {
		answer.Code, answer.Message, _ = strings.Cut(tokens.ErrIncomplete.Error(), ": ")
		answer.Complete = false
	}
	return answer
}

// purgeOrder is the body of a purge.
type purgeOrder struct {
	Provider    choice `json:"provider"`
	Realm       choice `json:"realm"`
	Subject     choice `json:"subject"`
	Participant choice `json:"participant"`
	Release     bool   `json:"release"`
	Sessions    bool   `json:"sessions"`
}

// choice is a name that may be left out and then selects everybody. An empty
// string or null does not: a script whose variable is not set sends that.
type choice struct {
	given bool
	name  string
}

// UnmarshalJSON notes that something was given.
func (c *choice) UnmarshalJSON(text []byte) error {
	c.given = true
	return json.Unmarshal(text, &c.name)
}

// readPurge reads and checks a purge. Its errors quote nothing of it: Caddy
// logs them, and it names a person.
func readPurge(body io.Reader) (*purgeOrder, error) {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	var order *purgeOrder
	err := d.Decode(&order)
	if errors.Is(err, io.EOF) {
		return new(purgeOrder), nil
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
	}
	if err != nil || order == nil {
		return nil, errors.New("the body is no JSON object of the strings provider, realm, subject and participant, and of release and sessions, which are true or false; all may be left out")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object: send one")
	}
	return order, order.check()
}

func (o *purgeOrder) check() error {
	for _, c := range []choice{o.Provider, o.Realm, o.Subject, o.Participant} {
		if c.given && c.name == "" {
			return errors.New("provider, realm, subject and participant must not be empty: leave out what is not to be selected by")
		}
	}
	switch {
	case o.Participant.given && (o.Subject.given || o.Realm.given):
		return errors.New("participant is the platform's name of a person, realm and subject are the app's: give one or the other")
	case o.Release && !(o.Realm.given && o.Subject.given):
		return errors.New("release is for one person: give realm and subject")
	case o.Sessions && (o.Realm.given != o.Subject.given || o.Participant.given || o.Provider.given):
		return errors.New("sessions is for one person, give realm and subject, or for everybody: leave out all else")
	}
	return nil
}

// providers are the names of those that are meant, sorted.
func (o *purgeOrder) providers(app *App) ([]string, error) {
	names := slices.Sorted(maps.Keys(app.providers))
	if !o.Provider.given {
		return names, nil
	}
	if _, ok := app.providers[o.Provider.name]; !ok {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no such provider: name one of %s", strings.Join(names, ", "))}
	}
	return []string{o.Provider.name}, nil
}

func (o *purgeOrder) selection() delegation.Selection {
	return delegation.Selection{Realm: o.Realm.name, Subject: o.Subject.name, Participant: o.Participant.name}
}

// liveApp is the app of the configuration that is running, for a request of
// the one method.
func liveApp(w http.ResponseWriter, r *http.Request, method string) (*App, error) {
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

func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

func answerJSON(w http.ResponseWriter, status int, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(answer)
}

// Interface guards
var _ caddy.AdminRouter = adminAPI{}
