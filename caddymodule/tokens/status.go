// SPDX-License-Identifier: Apache-2.0

package tokens

import "github.com/caddy-delegate/caddy-delegate/caddymodule/blame"

// Status is an engine's state for operators. It names nobody.
type Status struct {
	// Entries is how many tokens are kept.
	Entries int `json:"entries"`
	// Remembered is how many identities' failures are remembered.
	Remembered int `json:"remembered_failures"`
	// Waiting is how many requests and renewals wait for a mint.
	Waiting int `json:"waiting"`
	// Minting is how many mints are at the issuer.
	Minting int `json:"minting"`
	// Issuer is the state of the breaker.
	Issuer blame.Status `json:"issuer"`
	// Shared is nil if this machine is alone: purges are then for it only.
	Shared *SharedStatus `json:"shared,omitempty"`
}

// Status tells the state.
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
