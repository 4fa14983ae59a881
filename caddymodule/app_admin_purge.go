// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// purgeRequest is the body of POST /delegate/purge.
type purgeRequest struct {
	Provider    optionalString `json:"provider"`
	Realm       optionalString `json:"realm"`
	Subject     optionalString `json:"subject"`
	Participant optionalString `json:"participant"`
	Release     bool           `json:"release"`
	Sessions    bool           `json:"sessions"`
}

// purgeFields names the fields of [purgeRequest], for errors.
const purgeFields = "the strings provider, realm, subject and participant, and of release and sessions, which are true or false; all may be left out"

// purgeResponse is the answer to a purge. Its numbers are of this machine: by
// them an operator sees that a name was misspelt.
type purgeResponse struct {
	// Code is purge_incomplete or not_released; empty if the purge is complete.
	Code string `json:"code,omitempty"`

	// Purged are the names of the providers.
	Purged   []string `json:"purged"`
	Complete bool     `json:"complete"`

	// Sessions is the number of valid sessions that were revoked of those that
	// this machine remembers; 0 unless the request has sessions.
	Sessions int `json:"sessions"`
	Tokens   int `json:"tokens"`
	Lookups  int `json:"lookups"`

	// Machines is the number of other machines that hear of purges.
	Machines int `json:"machines"`

	// Providers are the numbers by provider, where there are several.
	Providers map[string]purgeCounts `json:"providers,omitempty"`

	Message string `json:"message,omitempty"`
}

// optionalString is a string that may be left out of a [purgeRequest], which
// then selects everybody. The empty string and null do not: a script whose
// variable is unset sends them.
type optionalString struct {
	present bool
	value   string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *optionalString) UnmarshalJSON(text []byte) error {
	s.present = true
	return json.Unmarshal(text, &s.value)
}

// purge answers POST /delegate/purge: 200, or 503 for an incomplete purge.
func (adminAPI) purge(w http.ResponseWriter, r *http.Request) error {
	app, request, err := readAdminRequest[purgeRequest](w, r, purgeFields)
	if err != nil {
		return err
	}
	if err := request.validate(); err != nil {
		return badRequest(err)
	}
	names, err := request.providerNames(app)
	if err != nil {
		return err
	}
	// Detached: a purge that has begun goes on if its client disconnects.
	response := app.purge(delegation.Detach(r.Context()), names, request)
	status := http.StatusOK
	if !response.Complete {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, response)
}

// purge drops the selected people of the named providers. Sessions are revoked
// first: a request with one would have the tokens fetched again.
func (a *App) purge(ctx context.Context, names []string, request *purgeRequest) purgeResponse {
	s, response := request.selection(), purgeResponse{Purged: names, Complete: true}
	var errs []error
	if request.Sessions {
		n, err := a.revokeSelected(ctx, delegation.Person{Realm: s.Realm, Subject: s.Subject})
		response.Sessions = n
		errs = append(errs, err)
	}
	counts := make(map[string]purgeCounts)
	for _, name := range names {
		p := a.providers[name]
		counts[name] = p.countSelected(s)
		response.Tokens += counts[name].Tokens
		response.Lookups += counts[name].Lookups
		errs = append(errs, p.purge(ctx, s, request.Release, "admin"))
	}
	if len(names) > 1 {
		response.Providers = counts
	}
	if a.fleet != nil {
		response.Machines = a.fleet.OtherMachines(ctx)
	}
	if s != (delegation.Selection{}) && response.Sessions+response.Tokens+response.Lookups == 0 {
		response.Message = a.emptyPurgeMessage(s)
	}
	if err := errors.Join(errs...); err != nil {
		response.Code, response.Message, _ = strings.Cut(tokens.ErrIncomplete.Error(), ": ")
		response.Complete = false
		if errors.Is(err, errNotReleased) {
			response.Code, response.Message, _ = strings.Cut(errNotReleased.Error(), ": ")
		}
	}
	return response
}

// revokeSelected revokes the sessions of a person, under every name that they
// are known by here, or of everybody for the zero person. It returns how many
// valid ones this machine remembers. The error is that other machines do not
// hear of it.
func (a *App) revokeSelected(ctx context.Context, who delegation.Person) (n int, err error) {
	n, aliases := a.revocations.ForgetSessions(who)
	targets := a.revocations.Revoke(who)
	for _, alias := range aliases {
		targets = append(targets, a.revocations.Revoke(alias)...)
	}
	return n, a.publishRevocations(ctx, true, targets...)
}

// validate refuses a selection that may be meant otherwise than it would be
// understood. Its errors quote nothing of the request.
func (r *purgeRequest) validate() error {
	for _, s := range []optionalString{r.Provider, r.Realm, r.Subject, r.Participant} {
		if s.present && s.value == "" {
			return errors.New("provider, realm, subject and participant must not be empty: leave out what is not to be selected by")
		}
	}
	switch {
	case r.Participant.present && (r.Subject.present || r.Realm.present):
		return errors.New("participant is the platform's name of a person, realm and subject are the app's: give one or the other")
	case r.Release && !(r.Realm.present && r.Subject.present):
		return errors.New("release is for one person: give realm and subject")
	case r.Sessions && (r.Realm.present != r.Subject.present || r.Participant.present || r.Provider.present):
		return errors.New("sessions is for one person, give realm and subject, or for everybody: leave out all else")
	}
	return nil
}

// providerNames returns the names of the providers to purge, sorted. Its error
// is a [caddy.APIError], 404.
func (r *purgeRequest) providerNames(app *App) ([]string, error) {
	names := slices.Sorted(maps.Keys(app.providers))
	if !r.Provider.present {
		return names, nil
	}
	if _, ok := app.providers[r.Provider.value]; !ok {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no such provider: name one of %s", strings.Join(names, ", "))}
	}
	return []string{r.Provider.value}, nil
}

// selection returns the people to purge.
func (r *purgeRequest) selection() delegation.Selection {
	return delegation.Selection{Realm: r.Realm.value, Subject: r.Subject.value, Participant: r.Participant.value}
}
