// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
)

// What a breaker does, as the tests of the engine call it.
const (
	Closed   = circuit.Closed
	Open     = circuit.Open
	HalfOpen = circuit.HalfOpen

	distinct      = circuit.MinPeople
	firstPause    = time.Second
	maxPause      = 30 * time.Second
	rejectedPause = 30 * time.Second
)
