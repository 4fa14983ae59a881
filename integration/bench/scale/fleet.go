// SPDX-License-Identifier: Apache-2.0

package scale

import "math"

// Cost is what one thing takes, as it was measured on the machine that the page on
// scale names.
type Cost struct {
	Call  float64 // seconds of a core for a call with a token at hand, Caddy included
	First float64 // the same for a call that has a token minted
	Token float64 // bytes of memory for a token and what belongs to it
	Redis float64 // commands for a token that is minted once and used on two machines
	Idle  float64 // commands a second of a machine without any work
	Slots float64 // calls at the issuer at once, of a machine
	Mint  float64 // seconds that the issuer takes for a token
}

// Cores are those of one machine, which are half busy at the busiest moment: the rest
// is for a machine that fails, and for what no model knows.
const Cores = 4

// Fleet is what a load needs.
type Fleet struct {
	Cores    float64 // busy at the busiest moment
	Machines int     // two at least, so that one may fail
	Memory   float64 // bytes of tokens on each machine
	Redis    float64 // commands a second
	Slots    float64 // calls at the issuer at once, of all machines
}

// Needs is what a load needs of machines that share their tokens. Unless a load balancer
// sends people to the same machine each time, each comes to have everybody's token.
func Needs(l Load, c Cost) (f Fleet) {
	f.Cores = l.PeakCalls*c.Call + l.PeakMints*(c.First-c.Call)
	f.Memory = l.Tokens * c.Token
	f.Slots = l.PeakMints * c.Mint
	f.Machines = int(max(2, math.Ceil(f.Cores/(Cores/2)), math.Ceil(f.Slots/c.Slots)))
	f.Redis = l.PeakMints*c.Redis + float64(f.Machines)*c.Idle
	return f
}
