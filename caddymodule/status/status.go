// SPDX-License-Identifier: Apache-2.0

// Package status is the state of a running server as an operator sees it: the JSON
// of GET /delegate/status of the admin endpoint. It names no person.
package status

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// Status is the state of a server.
type Status struct {
	Providers map[string]Provider `json:"providers"`

	// Sessions are the refusals of the directives without a provider, of which
	// app_session is one; nil if there are none.
	Sessions *Refusals `json:"sessions,omitempty"`

	// Grants is nil if no provider uses grants.
	Grants *Grants `json:"grants,omitempty"`

	// Files are the files that the providers, the sources and the keyset are read
	// from, such as private keys, sorted by setting.
	Files []File `json:"files,omitempty"`

	// Certificates are those that this server has for the hosts of its sites, sorted
	// by host.
	Certificates []Certificate `json:"certificates,omitempty"`

	// Degraded is what does not work as it should, and what to do next; empty, not
	// null, if all is well. See [Status.Judge].
	Degraded []Degradation `json:"degraded"`
}

// Provider is the state of a provider on this machine.
type Provider struct {
	// Kind is the name of the provider's module, such as mydex.
	Kind string `json:"kind"`

	// PurgeScope is machine or fleet: whose tokens a purge drops.
	PurgeScope string `json:"purge_scope"`

	Refusals
	Engine

	// Sources are the states of the engines of the provider's sources, by name.
	Sources map[string]Engine `json:"sources,omitempty"`
}

// Engine is the state of a token engine: a provider's own, or that of one of its
// sources.
type Engine struct {
	// Ready is false while the issuer's breaker is not closed: tokens in memory
	// serve until they expire, and no new ones can be had. Reason is the code of
	// the refusals then.
	Ready  bool            `json:"ready"`
	Reason delegation.Code `json:"reason,omitempty"`

	tokens.Status
}

// NewEngine returns the state of an engine.
func NewEngine(s tokens.Status) Engine {
	return Engine{Ready: s.Issuer.State == circuit.Closed, Reason: s.Issuer.Code, Status: s}
}

// Refusals counts the requests refused in the last ten minutes.
type Refusals struct {
	// Refused are their numbers by code.
	Refused map[delegation.Code]int `json:"refused,omitempty"`

	// EverybodyRefused is the code of the last twenty people's refusals, as long
	// as nobody was admitted since; EverybodyRefusedSince is when it was found out.
	EverybodyRefused      delegation.Code `json:"everybody_refused,omitempty"`
	EverybodyRefusedSince time.Time       `json:"everybody_refused_since,omitzero"`
}

// Grants is the state of the database of people's consents.
type Grants struct {
	// Kind is sqlite or postgres.
	Kind string `json:"kind"`
	// Up is false while the database cannot be used: since when, and why.
	Up    bool      `json:"up"`
	Since time.Time `json:"since,omitzero"`
	Cause string    `json:"cause,omitempty"`
	// Counts are the grants there are, a minute ago at most; nil if they cannot be
	// counted now.
	Counts []GrantCount `json:"counts,omitempty"`
}

// GrantCount is the number of grants of a provider, or of one of its sources, in a
// state.
type GrantCount struct {
	Provider string `json:"provider"`
	Source   string `json:"source,omitempty"`
	State    string `json:"state"`
	Grants   int    `json:"grants"`
}

// File is a file that a setting is read from.
type File struct {
	// Setting names it: the place, such as a provider, and the setting's name.
	Setting string `json:"setting"`
	File    string `json:"file"`
	// Changed is when the file was changed last: how old a key is.
	Changed time.Time `json:"changed,omitzero"`
	// Ends is when the last of the certificates in it ends, if it has any.
	Ends time.Time `json:"ends,omitzero"`
	// Cause is why the file cannot be read now.
	Cause string `json:"cause,omitempty"`
}

// Certificate is the certificate of a site.
type Certificate struct {
	Host   string    `json:"host"`
	Begins time.Time `json:"begins"`
	Ends   time.Time `json:"ends"`
}
