// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"net/http"
	"time"
)

// Record is what is remembered of one request. It is made when the request
// arrives; Status is 0 until the answer begins.
type Record struct {
	// Sequence numbers requests in the order of their arrival, from 1.
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
	// Area is exchange, recovery, verify, data, widget, console or other.
	Area   string `json:"area"`
	Method string `json:"method"`
	// URI is the request target as received.
	URI string `json:"uri"`
	// Path is the path as it was understood.
	Path   string      `json:"path"`
	Host   string      `json:"host"`
	Proto  string      `json:"proto"`
	Header http.Header `json:"header"`
	// Body is the beginning of the body, as far as it was read: 64 KiB at most.
	Body string `json:"body"`
	// BodySize is how many bytes of the body were read.
	BodySize int64 `json:"bodySize"`
	Status   int   `json:"status"`
	// Credentials are the places, in the words of [Settings.TokenIn], in which an
	// access token was seen.
	Credentials []string `json:"credentials,omitempty"`
	// ClientID and UserCode are whose data was opened or whose token was
	// redeemed, empty if the call was refused.
	ClientID string `json:"clientId,omitempty"`
	UserCode string `json:"userCode,omitempty"`
	// Reason says why the call was refused, in a word: such as token_used.
	Reason string `json:"reason,omitempty"`
}

// Counts are totals.
type Counts struct {
	Exchanges    int `json:"exchanges"`    // requests that arrived at the exchange
	Redeemed     int `json:"redeemed"`     // one-time tokens that were redeemed
	Refusals     int `json:"refusals"`     // exchanges that were refused, however caused
	WrongSecrets int `json:"wrongSecrets"` // wrong client IDs and secrets
	Recoveries   int `json:"recoveries"`   // requests for a lost public token that arrived
	Verifies     int `json:"verifies"`     // questions whose an access token is that arrived
	Data         int `json:"data"`         // other requests that arrived at the API
	Unauthorized int `json:"unauthorized"` // 401 of the API
	Finished     int `json:"finished"`     // people who pressed "Finish connecting data"
	Closed       int `json:"closed"`       // people who closed the widget
	InFlight     int `json:"inFlight"`     // requests not answered to the end at the moment
}

// maxKeptBody is how much is kept of a request's body.
const maxKeptBody = 64 << 10

// countArrival counts what has arrived.
func (r *Record) countArrival(sequence int64, counts *Counts) {
	r.Sequence = sequence
	counts.InFlight++
	switch r.Area {
	case areaExchange:
		counts.Exchanges++
	case areaRecovery:
		counts.Recoveries++
	case areaVerify:
		counts.Verifies++
	case areaData:
		counts.Data++
	}
}
