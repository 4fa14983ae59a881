// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Shared is a level behind the memory of one provider's engine that the
// engines of other machines use as well. It never is a reason for a request to
// fail: where it cannot be used, it does as if there were only this machine.
type Shared interface {
	// Token returns the token for id that another machine has minted, if it
	// serves; otherwise what mint returns, which it keeps for the others. No
	// two machines mint for the same key at once. The error is mint's own,
	// ctx's, or [ErrPurged].
	Token(ctx context.Context, key string, id *delegation.Identity, serves func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error)

	// Purge has the other machines drop what is selected, and forgets it
	// itself. The error is [ErrIncomplete] if it cannot reach them; it then
	// does so later.
	Purge(ctx context.Context, s delegation.Selection) error

	// Status tells how it is.
	Status() SharedStatus
}

// SharedStatus is a shared level's state for operators.
type SharedStatus struct {
	// Kind is redis.
	Kind string `json:"kind"`
	// Up tells whether it is in use. If not, this machine works alone.
	Up bool `json:"up"`
	// Cause is why it is not; empty while it is, and until that was tried.
	Cause string `json:"cause,omitempty"`
	// Failures counts how often it went down.
	Failures int64 `json:"failures"`
	// Pending is how many purges the other machines do not know of yet.
	Pending int `json:"pending_purges"`
	// PendingLogouts is of how many names they do not know yet that their
	// sessions have ended.
	PendingLogouts int `json:"pending_logouts"`
}
