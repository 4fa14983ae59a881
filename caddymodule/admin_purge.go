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

// purgeResponse is what a purge is answered with: what it met on this machine, so
// that one of a misspelt name is seen.
type purgeResponse struct {
	Code     string   `json:"code,omitempty"`
	Purged   []string `json:"purged"`
	Complete bool     `json:"complete"`

	Sessions int `json:"sessions"` // that were good and remembered here; 0 if they were not to end
	Tokens   int `json:"tokens"`
	Lookups  int `json:"lookups"`
	Machines int `json:"machines"` // others that listen

	// Providers is what of these was whose, where there is more than one.
	Providers map[string]purgeCounts `json:"providers,omitempty"`

	Message string `json:"message,omitempty"`
}

// purgeCounts is what a purge met of one provider.
type purgeCounts struct {
	Tokens  int `json:"tokens"`
	Lookups int `json:"lookups"`
}

// purgeFields is what a purge may hold.
const purgeFields = "the strings provider, realm, subject and participant, and of release and sessions, which are true or false; all may be left out"

// purge answers POST /delegate/purge.
func (adminAPI) purge(w http.ResponseWriter, r *http.Request) error {
	app, order, err := readAdminRequest[purgeRequest](w, r, purgeFields)
	if err != nil {
		return err
	}
	if err := order.validate(); err != nil {
		return badRequest(err)
	}
	names, err := order.providerNames(app)
	if err != nil {
		return err
	}
	// A purge that has begun goes on if whoever asked for it leaves.
	answer := app.purge(delegation.Detach(r.Context()), names, order)
	status := http.StatusOK
	if !answer.Complete {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, answer)
}

// purge has the named providers drop who is selected. Sessions end before: they
// would have it fetched again.
func (a *App) purge(ctx context.Context, names []string, order *purgeRequest) purgeResponse {
	s, answer := order.selection(), purgeResponse{Purged: names, Complete: true}
	var errs []error
	if order.Sessions {
		who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		// What is known here by other names too ends by all of them.
		n, others := a.revocations.ForgetSessions(who)
		answer.Sessions = n
		names := a.revocations.Revoke(who)
		for _, other := range others {
			names = append(names, a.revocations.Revoke(other)...)
		}
		errs = append(errs, a.publishRevocations(ctx, true, names...))
	}
	of := make(map[string]purgeCounts)
	for _, name := range names {
		p := a.providers[name]
		of[name] = p.countSelected(s)
		answer.Tokens += of[name].Tokens
		answer.Lookups += of[name].Lookups
		errs = append(errs, p.purge(ctx, s, order.Release, "admin"))
	}
	if len(names) > 1 {
		answer.Providers = of
	}
	if a.fleet != nil {
		answer.Machines = a.fleet.OtherMachines(ctx)
	}
	if s != (delegation.Selection{}) && answer.Sessions+answer.Tokens+answer.Lookups == 0 {
		answer.Message = a.emptyPurgeMessage(s)
	}
	if err := errors.Join(errs...); err != nil {
		answer.Code, answer.Message, _ = strings.Cut(tokens.ErrIncomplete.Error(), ": ")
		answer.Complete = false
		if errors.Is(err, errNotReleased) {
			answer.Code, answer.Message, _ = strings.Cut(errNotReleased.Error(), ": ")
		}
	}
	return answer
}

// countSelected counts what a purge is about to meet.
func (p *provider) countSelected(s delegation.Selection) (m purgeCounts) {
	m.Tokens = p.state.tokens.Count(s)
	for _, other := range p.state.otherVersions() {
		m.Tokens += other.tokens.Count(s)
	}
	m.Lookups = p.countLookups(s)
	return m
}

// purgeRequest is the body of a purge.
type purgeRequest struct {
	Provider    optionalString `json:"provider"`
	Realm       optionalString `json:"realm"`
	Subject     optionalString `json:"subject"`
	Participant optionalString `json:"participant"`
	Release     bool           `json:"release"`
	Sessions    bool           `json:"sessions"`
}

// optionalString is a name that may be left out and then selects everybody. An empty
// string or null does not: a script whose variable is not set sends that.
type optionalString struct {
	present bool
	value   string
}

// UnmarshalJSON notes that something was given.
func (c *optionalString) UnmarshalJSON(text []byte) error {
	c.present = true
	return json.Unmarshal(text, &c.value)
}

func (o *purgeRequest) validate() error {
	for _, c := range []optionalString{o.Provider, o.Realm, o.Subject, o.Participant} {
		if c.present && c.value == "" {
			return errors.New("provider, realm, subject and participant must not be empty: leave out what is not to be selected by")
		}
	}
	switch {
	case o.Participant.present && (o.Subject.present || o.Realm.present):
		return errors.New("participant is the platform's name of a person, realm and subject are the app's: give one or the other")
	case o.Release && !(o.Realm.present && o.Subject.present):
		return errors.New("release is for one person: give realm and subject")
	case o.Sessions && (o.Realm.present != o.Subject.present || o.Participant.present || o.Provider.present):
		return errors.New("sessions is for one person, give realm and subject, or for everybody: leave out all else")
	}
	return nil
}

// providerNames are the names of those that are meant, sorted.
func (o *purgeRequest) providerNames(app *App) ([]string, error) {
	names := slices.Sorted(maps.Keys(app.providers))
	if !o.Provider.present {
		return names, nil
	}
	if _, ok := app.providers[o.Provider.value]; !ok {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no such provider: name one of %s", strings.Join(names, ", "))}
	}
	return []string{o.Provider.value}, nil
}

func (o *purgeRequest) selection() delegation.Selection {
	return delegation.Selection{Realm: o.Realm.value, Subject: o.Subject.value, Participant: o.Participant.value}
}
