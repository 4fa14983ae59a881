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
	// Pending reports that a flow is under way besides, for a grant that the vendor does
	// not accept any more or while the person has to decide: one that was begun and left
	// must not hide that.
	Pending bool `json:"pending,omitempty"`
	// Account is the label of the connected account, such as an address; in confirm that
	// of the account that the person has come back with. Empty if there is none, or the
	// vendor does not say.
	Account string `json:"account,omitempty"`
	// CurrentAccount is, in confirm, the label of the connected account.
	CurrentAccount string `json:"current_account,omitempty"`
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
	CanConfirm    SourceAction = "confirm"    // POST /confirm: decide between two accounts
	CanDisconnect SourceAction = "disconnect" // POST /disconnect, DELETE: take the consent, or the flow under way, back
)

// SourceFacts are what the state of a person's data source follows from.
type SourceFacts struct {
	// Status is that of the consent, and Grant the one that it is about, in use or
	// suspended; nil if there is none.
	Status delegation.ConsentStatus
	Grant  *delegation.Grant
	// Waiting is the account that waits for the person's decision, in this browser; nil
	// if none does.
	Waiting *delegation.Grant
	// Ended reports that the vendor has ended the source.
	Ended bool
	// Missing are the scopes that the grant lacks.
	Missing []string
}

// NewSourceState returns the state of a source.
func NewSourceState(f SourceFacts) SourceState {
	s := SourceState{Status: f.Status, Actions: []SourceAction{}}
	if f.Grant != nil {
		s.Account = f.Grant.Label
	}
	if f.Ended {
		s.Status = delegation.ConsentEnded
		if f.Grant != nil || f.Status == delegation.ConsentPending {
			s.Actions = []SourceAction{CanDisconnect}
		}
		return s
	}
	if f.Status == delegation.ConsentPending && f.Grant != nil {
		s.Status, s.Pending = delegation.ConsentUpdate, true // the grant is suspended, or it would be connected
	}
	if f.Waiting != nil && f.Grant != nil {
		s.Status, s.Account, s.CurrentAccount = delegation.ConsentConfirm, f.Waiting.Label, f.Grant.Label
	}
	switch s.Status {
	case delegation.ConsentConfirm:
		s.Actions = append(s.Actions, CanConfirm)
	case delegation.ConsentConnected:
		if s.MissingScopes = f.Missing; len(f.Missing) > 0 {
			s.Actions = append(s.Actions, CanUpdate)
		}
	default:
		s.Actions = append(s.Actions, CanConnect)
	}
	if s.Status != delegation.ConsentNone {
		s.Actions = append(s.Actions, CanDisconnect)
	}
	return s
}

// UnderWay reports whether a flow is under way, for which a page may wait.
func (s *SourceState) UnderWay() bool { return s.Pending || s.Status == delegation.ConsentPending }

// Can reports whether an action is among those of the source.
func (s *SourceState) Can(a SourceAction) bool { return slices.Contains(s.Actions, a) }

// bySeverity are the states of sources under which nothing is under way, in the order
// in which one of them is that of all sources together.
var bySeverity = []delegation.ConsentStatus{delegation.ConsentConfirm, delegation.ConsentUpdate, delegation.ConsentConnected}

// Overall returns the state of all sources together: pending while one is, since a
// page waits for it; else confirm or update_required if one needs the person, connected
// if one is, and none. A source that has ended does not count.
func Overall(states map[string]SourceState) delegation.ConsentStatus {
	for _, s := range states {
		if s.UnderWay() {
			return delegation.ConsentPending
		}
	}
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
