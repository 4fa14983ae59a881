// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// SourceState is the state of one person's data source, as the app's page is told
// it in JSON. It holds no secret.
type SourceState struct {
	Status delegation.ConsentStatus `json:"status"`
	// Account is the label of the connected account, such as an address; empty if
	// there is none, or the vendor does not say.
	Account string `json:"account,omitempty"`
	// Code is why the person's last attempt counts for nothing, such as
	// account_conflict; empty otherwise.
	Code delegation.Code `json:"code,omitempty"`
	// MissingScopes are the source's that the person has not granted.
	MissingScopes []string `json:"missing_scopes,omitempty"`
	// Actions are what the person can do.
	Actions []SourceAction `json:"actions"`
	// APIBase is the address of the vendor's API: links in its answers begin with it.
	APIBase string `json:"api_base,omitempty"`
}

// SourceAction is something that a person can do with a data source.
type SourceAction string

// The actions.
const (
	CanConnect    SourceAction = "connect"    // POST /start: connect, begin anew, or connect again
	CanUpdate     SourceAction = "update"     // POST /update: grant what is missing
	CanDisconnect SourceAction = "disconnect" // POST /disconnect, DELETE: take the consent, or the flow under way, back
)

// NewSourceState returns the state of a source. grant is the person's, in use or
// suspended; nil if there is none. ended reports that the vendor has ended the
// source, and missing are the scopes that the grant lacks.
func NewSourceState(status delegation.ConsentStatus, grant *delegation.Grant, ended bool, missing []string) SourceState {
	s := SourceState{Status: status, Actions: []SourceAction{}}
	if grant != nil {
		s.Account = grant.Label
	}
	if ended {
		s.Status = delegation.ConsentEnded
		if grant != nil || status == delegation.ConsentPending {
			s.Actions = []SourceAction{CanDisconnect}
		}
		return s
	}
	switch status {
	case delegation.ConsentConnected:
		if s.MissingScopes = missing; len(missing) > 0 {
			s.Actions = append(s.Actions, CanUpdate)
		}
	default:
		s.Actions = append(s.Actions, CanConnect)
	}
	if status != delegation.ConsentNone {
		s.Actions = append(s.Actions, CanDisconnect)
	}
	return s
}

// Can reports whether an action is among those of the source.
func (s *SourceState) Can(a SourceAction) bool { return slices.Contains(s.Actions, a) }

// bySeverity are the states of sources in the order in which one of them is that of
// all sources together.
var bySeverity = []delegation.ConsentStatus{delegation.ConsentPending, delegation.ConsentUpdate, delegation.ConsentConnected}

// Overall returns the state of all sources together: pending while one is, since a
// page waits for it; else update_required if one needs the person, connected if one
// is, and none. A source that has ended does not count.
func Overall(states map[string]SourceState) delegation.ConsentStatus {
	for _, status := range bySeverity {
		for _, s := range states {
			if s.Status == status {
				return status
			}
		}
	}
	return delegation.ConsentNone
}

// MissingScopes returns those of needed that granted do not cover, in their order. A
// vendor that does not say what it has granted, for which granted is nil, has granted
// what it was asked for.
func MissingScopes(granted, needed []string, covers func(granted []string, needed string) bool) []string {
	if granted == nil {
		return nil
	}
	var missing []string
	for _, scope := range needed {
		if !covers(granted, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}
