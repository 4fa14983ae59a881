// SPDX-License-Identifier: Apache-2.0

package tokens

import "github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"

// Status is the state of an engine, as the admin API and the metrics show it.
// It names no person.
type Status struct {
	// Entries counts the tokens in memory.
	Entries int `json:"entries"`
	// Remembered counts the identities whose failures are remembered.
	Remembered int `json:"remembered_failures"`
	// Waiting counts the requests and renewals that wait for a mint.
	Waiting int `json:"waiting"`
	// Minting counts the mints at the issuer.
	Minting int `json:"minting"`
	// Issuer is the state of the circuit breaker.
	Issuer circuit.Status `json:"issuer"`
	// Shared is the shared level's state; nil if there is none, and a purge
	// concerns this machine alone.
	Shared *SharedStatus `json:"shared,omitempty"`
}

// Status returns the state of the engine.
func (e *Engine) Status() Status {
	s := Status{
		Entries:    e.entries.Len(),
		Remembered: e.failures.store.Len(),
		Waiting:    e.flights.Waiting(),
		Minting:    e.mintSlots.Load().all.Running(),
		Issuer:     e.breaker.Status(),
	}
	if e.shared != nil {
		shared := e.shared.Status()
		s.Shared = &shared
	}
	return s
}
