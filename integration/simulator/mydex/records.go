// SPDX-License-Identifier: Apache-2.0

package mydex

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
	// Role is op, pdx or identity.
	Role string `json:"role"`
	// Area is token, pdx, setup, pages or other.
	Area   string `json:"area"`
	Method string `json:"method"`
	// URI is the request target as received, RawQuery what follows its
	// question mark.
	URI      string      `json:"uri"`
	RawQuery string      `json:"rawQuery"`
	Host     string      `json:"host"`
	Proto    string      `json:"proto"`
	Header   http.Header `json:"header"`
	// Body is the beginning of the body, as far as it was read: 64 KiB at most.
	Body string `json:"body"`
	// BodySize is how many bytes of the body were read.
	BodySize int64 `json:"bodySize"`
	Status   int   `json:"status"`
	// UID is the member whose data was opened, empty if the call was refused.
	UID string `json:"uid,omitempty"`
	// Reason says why the call was refused, in more words than its answer.
	Reason string `json:"reason,omitempty"`
}

// Counts are totals.
type Counts struct {
	TokenRequests int `json:"tokenRequests"` // that arrived at the token endpoint
	TokenRefusals int `json:"tokenRefusals"` // OAuth errors, however caused
	Tokens        int `json:"tokens"`        // issued
	PDX           int `json:"pdx"`           // requests that arrived at the PDX
	Setups        int `json:"setups"`        // requests for a member's link that arrived
	Unauthorized  int `json:"unauthorized"`  // 401 of the PDX and of requests for a link
	Agreements    int `json:"agreements"`    // members who clicked Agree
	Declines      int `json:"declines"`      // members who clicked Decline
	Deliveries    int `json:"deliveries"`    // callbacks and notifications that were sent
	InFlight      int `json:"inFlight"`      // requests not answered to the end at the moment
}

// maxKeptBody is how much is kept of a request's body.
const maxKeptBody = 64 << 10

// countArrival counts what has arrived.
func (r *Record) countArrival(sequence int64, counts *Counts) {
	r.Sequence = sequence
	counts.InFlight++
	switch r.Area {
	case areaToken:
		counts.TokenRequests++
	case areaPDX:
		counts.PDX++
	case areaSetup:
		counts.Setups++
	}
}

// resetCounts are the counts after a reset.
func resetCounts(c Counts) Counts { return Counts{InFlight: c.InFlight} }
