// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

// Options are an engine's bounds. A zero value means the default.
type Options struct {
	// Timeout bounds a mint, the wait for a slot at the issuer included.
	// Default: 10 s.
	Timeout time.Duration
	// Concurrency is how many mints may be at the issuer at once. Default: 16.
	Concurrency int
	// MaxEntries is how many tokens are kept. Default: 100 000.
	MaxEntries int

	// How many requests may wait for mints, in all and of one person. They are
	// no settings: a waiting request costs a few kilobytes, and a machine without
	// room for ten thousand has room for no crowd at all. Tests set them.
	maxWaiting          int
	maxWaitingPerPerson int
}

func (o *Options) setDefaults() {
	if o.Timeout <= 0 {
		o.Timeout = delegation.DefaultTimeout
	}
	for _, d := range []struct {
		to    *int
		value int
	}{
		{&o.Concurrency, 16},
		{&o.MaxEntries, 100_000},
		{&o.maxWaiting, 10_000},
		{&o.maxWaitingPerPerson, 500},
	} {
		if *d.to <= 0 {
			*d.to = d.value
		}
	}
}

func (o *Options) limits() singleflight.Limits {
	return singleflight.Limits{Timeout: o.Timeout, Waiting: o.maxWaiting, PerOwner: o.maxWaitingPerPerson}
}

// maxFailures is how many failures are remembered. They have a budget of their
// own, so that unknown people push no token out.
func (o *Options) maxFailures() int { return max(o.MaxEntries/10, 1000) }
