// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Shared is the level behind one provider's engine that the engines of other
// machines use as well, such as Redis. It never makes a request fail: while it
// cannot be reached it does as if there were only this machine.
type Shared interface {
	// Token returns the token for id that another machine has minted, if serves
	// accepts it; otherwise the token that mint returns, which is kept for the
	// other machines. No two machines mint for the same key at once. The error
	// is that of mint, of ctx, or [ErrPurged].
	Token(ctx context.Context, key string, id *delegation.Identity, serves func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error)

	// Purge deletes the selection's tokens from the shared level and has the
	// other machines delete theirs. The error is [ErrIncomplete] if they cannot
	// be reached; they are then told later.
	Purge(ctx context.Context, s delegation.Selection) error

	// Status returns the state for operators.
	Status() SharedStatus
}

// SharedStatus is the state of a shared level, as the admin API shows it.
type SharedStatus struct {
	// Kind is the kind of the shared level: redis.
	Kind string `json:"kind"`
	// Up reports whether it is in use. If not, this machine works alone.
	Up bool `json:"up"`
	// Cause is why it is not in use; empty while it is, and before the first
	// attempt.
	Cause string `json:"cause,omitempty"`
	// Since is when it went down; zero while it is in use, and before the first
	// attempt.
	Since time.Time `json:"since,omitzero"`
	// Failures counts how often it went down.
	Failures int64 `json:"failures"`
	// Pending counts the purges of which the other machines do not know yet.
	Pending int `json:"pending_purges"`
	// PendingLogouts counts the revoked sessions and people of which they do
	// not know yet.
	PendingLogouts int `json:"pending_logouts"`
}
