// SPDX-License-Identifier: Apache-2.0

package simulator

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
	Method   string    `json:"method"`
	// URI is the request target as received.
	URI     string      `json:"uri"`
	Host    string      `json:"host"`
	Proto   string      `json:"proto"`
	Header  http.Header `json:"header"`
	Trailer http.Header `json:"trailer,omitempty"`
	// TokenKind is none, service, participant or unknown; that of the token in
	// the Authorization header, whether it is still accepted or not.
	TokenKind string `json:"tokenKind"`
	// ParticipantID is whose token it is, or for whom a token was asked.
	ParticipantID string `json:"participantID,omitempty"`
	Status        int    `json:"status"`
	// BodySize is how many bytes of the request's body were read.
	BodySize int64 `json:"bodySize"`
	// Area is token, admin, delegated, public, files, pages or other.
	Area string `json:"area"`
	// Reason says why a token was refused; the client is not told.
	Reason string `json:"reason,omitempty"`
}

// Counts are totals.
type Counts struct {
	ServiceTokens     int `json:"serviceTokens"`     // minted
	ParticipantTokens int `json:"participantTokens"` // minted
	TokenRequests     int `json:"tokenRequests"`     // that arrived at the token endpoint
	TokenRefusals     int `json:"tokenRefusals"`     // OAuth errors, however caused
	Lookups           int `json:"lookups"`           // Get Participant, found or not
	ListPages         int `json:"listPages"`         // pages of the participant list served
	Admin             int `json:"admin"`             // requests that arrived at the administrative API
	Delegated         int `json:"delegated"`         // requests that arrived at the delegated API
	Public            int `json:"public"`            // requests that arrived at public routes
	Unauthorized      int `json:"unauthorized"`      // 401 of either API
	Forbidden         int `json:"forbidden"`         // 403 of either API
	Throttled         int `json:"throttled"`         // 429 of either API
	InFlight          int `json:"inFlight"`          // requests not answered to the end at the moment
}

// countArrival counts what has arrived.
func (r *Record) countArrival(sequence int64, counts *Counts) {
	r.Sequence = sequence
	counts.InFlight++
	switch r.Area {
	case areaToken:
		counts.TokenRequests++
	case areaAdmin:
		counts.Admin++
	case areaDelegated:
		counts.Delegated++
	case areaPublic:
		counts.Public++
	}
}

// resetCounts are the counts after a reset.
func resetCounts(c Counts) Counts { return Counts{InFlight: c.InFlight} }
