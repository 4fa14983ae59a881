// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
)

// What a breaker does, as the tests of the engine call it.
const (
	Closed   = blame.Closed
	Open     = blame.Open
	HalfOpen = blame.HalfOpen

	distinct      = blame.MinPeople
	firstPause    = time.Second
	maxPause      = 30 * time.Second
	rejectedPause = 30 * time.Second
)
