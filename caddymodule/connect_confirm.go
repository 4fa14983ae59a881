// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// waitingAccount returns the account of the source that waits for the decision of the
// person who is signed in, in this browser; nil if none does.
func (v *connectRequest) waitingAccount(cookie *consent.Cookie) (*delegation.Grant, error) {
	if cookie.BrowserToken == "" {
		return nil, nil
	}
	return v.source.consents.Waiting(v.r.Context(), grants.Confirmation{Person: v.owner, BrowserToken: cookie.BrowserToken})
}

// confirm carries out the person's decision between the account that they have connected
// and the one that they have come back with, and answers the status of the source; a
// form is redirected to the page. The vendor is told of the consent that has ended.
func (v *connectRequest) confirm() error {
	browserToken := v.readCookie().BrowserToken
	if browserToken == "" {
		return delegation.Refuse(delegation.FlowExpired, errors.New("the browser has begun no consent flow, or has lost its cookie"))
	}
	replace, err := v.readDecision()
	if err != nil {
		return err
	}
	ended, err := v.source.consents.Confirm(v.r.Context(), grants.Confirmation{Person: v.owner, BrowserToken: browserToken, Replace: replace})
	v.purgePerson(v.owner) // it may be decided all the same
	if ended != nil {
		_ = ended.RevokeGrants(v.r.Context()) // is recorded by recordRevocation
	}
	if err != nil {
		return err
	}
	event := consentKept
	if replace {
		event = consentReplaced
	}
	v.provider.recordConsent(event, actorUser, v.source.name, v.owner)
	if !v.isForm() {
		return v.sourcesStatus()
	}
	states, err := v.sourceStates(time.Now())
	if err != nil {
		return err
	}
	v.w.Header().Set("Location", v.afterFlow(string(states[v.source.name].Status)))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// errDecision refuses a body of POST /confirm that cannot be read: a decision is never
// guessed.
var errDecision = errors.New("the body has one member: replace, which is true or false; as a form, a field of that name")

// readDecision reads the body of POST /confirm. The error is route_denied,
// body_too_large or body_incomplete.
func (v *connectRequest) readDecision() (replace bool, err error) {
	body, err := readBody(v.w, v.r)
	if err != nil {
		return false, err
	}
	if replace, err = parseDecision(body, v.isForm()); err != nil {
		return false, delegation.Refuse(delegation.RouteDenied, err)
	}
	return replace, nil
}

// parseDecision parses the body of POST /confirm.
func parseDecision(body []byte, form bool) (replace bool, err error) {
	var word string
	if form {
		fields, err := url.ParseQuery(string(body))
		if err != nil || len(fields["replace"]) != 1 {
			return false, errDecision
		}
		word = fields.Get("replace")
	} else {
		members, err := strictjson.Members(body)
		if err != nil || len(members) != 1 {
			return false, errDecision
		}
		var said *bool
		if json.Unmarshal(members["replace"], &said) != nil || said == nil {
			return false, errDecision
		}
		return *said, nil
	}
	switch word {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, errDecision
	}
}
