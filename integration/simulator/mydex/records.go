// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"sync"
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

const (
	maxRecords  = 10000    // bounds the memory that records take
	maxKeptBody = 64 << 10 // of each record
)

// recorder keeps the latest records in a ring, and the counts.
type recorder struct {
	mu     sync.Mutex
	ring   []*Record
	last   int64 // sequence number of the latest record
	first  int64 // sequence number before the first one since the last reset
	counts Counts
}

func (c *recorder) add(r *Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	r.Sequence = c.last
	if len(c.ring) < maxRecords {
		c.ring = append(c.ring, r)
	} else {
		c.ring[(c.last-1)%maxRecords] = r
	}
	c.counts.InFlight++
	switch r.Area {
	case areaToken:
		c.counts.TokenRequests++
	case areaPDX:
		c.counts.PDX++
	case areaSetup:
		c.counts.Setups++
	}
}

// update changes counts, or a record that Records may be copying at the same time.
func (c *recorder) update(change func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

func (c *recorder) totals() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// after returns copies of the records with a higher sequence number.
func (c *recorder) after(sequence int64) []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := max(sequence, c.first, c.last-int64(len(c.ring)))
	records := make([]Record, 0, max(0, c.last-from))
	for n := from + 1; n <= c.last; n++ {
		// Header is never changed, so it may be shared.
		records = append(records, *c.ring[(n-1)%maxRecords])
	}
	return records
}

func (c *recorder) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = c.last
	c.counts = Counts{InFlight: c.counts.InFlight}
}
