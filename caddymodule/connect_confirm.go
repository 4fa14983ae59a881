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
// person who is signed in, in this browser or the app; nil if none does.
func (v *connectRequest) waitingAccount(cookie *consent.Cookie) (*delegation.Grant, error) {
	if cookie.BrowserToken == "" && v.handle == "" {
		return nil, nil
	}
	return v.source.consents.Waiting(v.r.Context(), grants.Confirmation{Person: v.owner, BrowserToken: cookie.BrowserToken, Handle: v.handle})
}

// confirm carries out the person's decision between the account that they have connected
// and the one that they have come back with, and answers the status of the source; a
// form is redirected to the page. The vendor is told of the consent that has ended.
func (v *connectRequest) confirm() error {
	body, err := readBody(v.w, v.r)
	if err != nil {
		return err
	}
	browserToken := v.readCookie().BrowserToken
	if browserToken == "" && len(body) == 0 {
		return delegation.Refuse(delegation.FlowExpired, errors.New("the browser has begun no consent flow, or has lost its cookie"))
	}
	replace, handle, err := parseDecision(body, v.isForm())
	if err != nil {
		return delegation.Refuse(delegation.RouteDenied, err)
	}
	if handle != "" {
		source, token := splitSourceToken(handle)
		if source != v.source.name || token == "" {
			return delegation.Refuse(delegation.FlowExpired, errors.New("this is no handle of the source"))
		}
		v.handle, browserToken = token, ""
	}
	ended, err := v.source.consents.Confirm(v.r.Context(), grants.Confirmation{Person: v.owner, BrowserToken: browserToken, Handle: v.handle, Replace: replace})
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
var errDecision = errors.New("the body has the member replace, which is true or false, and of an app the member handle; as a form, a field replace")

// parseDecision parses the body of POST /confirm. handle is an app's; empty for a
// browser.
func parseDecision(body []byte, form bool) (replace bool, handle string, err error) {
	if form {
		fields, err := url.ParseQuery(string(body))
		if err != nil || len(fields["replace"]) != 1 {
			return false, "", errDecision
		}
		switch fields.Get("replace") {
		case "true":
			return true, "", nil
		case "false":
			return false, "", nil
		default:
			return false, "", errDecision
		}
	}
	members, err := strictjson.Members(body)
	if err != nil {
		return false, "", errDecision
	}
	var said *bool
	if json.Unmarshal(members["replace"], &said) != nil || said == nil {
		return false, "", errDecision
	}
	text, hasHandle := members[handleParameter]
	if hasHandle && (json.Unmarshal(text, &handle) != nil || handle == "") || !hasHandle && len(members) != 1 || len(members) > 2 {
		return false, "", errDecision
	}
	return *said, handle, nil
}
