// SPDX-License-Identifier: Apache-2.0

// Package scale is the capacity model of the page on scale: from how many people
// there are, and how they use the app, what a fleet has to do. Its formulas are
// checked by a simulation with the real token engine.
package scale

import (
	"math"
	"time"
)

// Use is how people use the app. Their visits come at random, independently of each
// other, and more of them by day than by night.
type Use struct {
	People int
	Visits float64       // of one person, a day
	Stay   time.Duration // how long a visit takes; the app calls often in it
	Calls  int           // in a visit
	Swing  float64       // how far the visits of the busiest moment are above the average, from 0 to 1; as far below it at night
	Life   time.Duration // of a token, as the issuer gives it
}

// Load is what that makes for the machines together.
type Load struct {
	Calls     float64 // a day
	PeakCalls float64 // a second, at the busiest moment
	Mints     float64 // calls at the issuer, a day
	PeakMints float64 // a second, at the busiest moment
	Waits     float64 // calls that wait for a token, a day
	Tokens    float64 // in memory at the busiest moment
}

const day = 24 * time.Hour

// renewAt is when a use renews a token: on average at this part of its life. And
// usable is how long it is used, but for the skew, which is a tenth of its life or
// 30 s.
const renewAt = 0.6

func usable(life time.Duration) float64 {
	return (life - min(30*time.Second, life/10)).Seconds()
}

// visits is how often somebody comes, a second, at a moment of the day.
func (u Use) visits(at time.Duration) float64 {
	return u.Visits / day.Seconds() * (1 + u.Swing*math.Sin(2*math.Pi*float64(at)/float64(day)))
}

// chain is what becomes of the tokens of somebody who comes at a rate. The first is
// minted when they come, and renewed whenever it is due while they stay. The last one
// is renewed by the first call after it is due: at once if another visit is under way
// then, else when they come again.
type chain struct {
	mints  float64
	length float64 // mean time from the first mint to that of the next chain, in seconds
	held   float64 // how long of that a usable token is in memory
	waits  float64 // how often a call waits at its end, because no token is left
}

func (u Use) chain(rate float64) chain {
	due, end := renewAt*u.Life.Seconds(), usable(u.Life)
	mints := 1 + math.Floor(u.Stay.Seconds()/due)
	away := math.Exp(-rate * u.Stay.Seconds()) // nobody is there when the last is due
	late := math.Exp(-rate * (end - due))      // nobody has come until it ends
	return chain{mints, mints*due + away/rate, mints*due + away*(1-late)/rate, away * late}
}

// Predict is the model. It takes the day in pieces of a minute, in each of which it is
// as if it always was that time of day: good as long as tokens live shorter than the
// day turns.
func Predict(u Use) (l Load) {
	people := float64(u.People)
	l.Calls = people * u.Visits * float64(u.Calls)
	for at := time.Duration(0); at < day; at += time.Minute {
		rate := u.visits(at)
		c := u.chain(rate)
		l.Mints += people * c.mints / c.length * 60
		l.Waits += people * c.waits / c.length * 60
		l.PeakMints = max(l.PeakMints, people*c.mints/c.length)
		l.PeakCalls = max(l.PeakCalls, people*rate*float64(u.Calls))
		l.Tokens = max(l.Tokens, people*c.held/c.length)
	}
	return l
}
