// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"time"
)

// Record is what is remembered of one request. It is made when the request arrives;
// Status is 0 until the answer begins.
type Record struct {
	// Sequence numbers requests in the order of their arrival, from 1.
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
	// Area is pages, request_token, code, refresh, revoke, discovery, account,
	// register, data or other.
	Area   string `json:"area"`
	Method string `json:"method"`
	// URI is the request target as received.
	URI string `json:"uri"`
	// Path is the path as it was understood.
	Path   string      `json:"path"`
	Host   string      `json:"host"`
	Proto  string      `json:"proto"`
	Header http.Header `json:"header"`
	// Body is the body if it has 64 KiB at most.
	Body   string `json:"body"`
	Status int    `json:"status"`
	// ClientID and Account are whose data was opened or whose token was issued,
	// empty if the call was refused.
	ClientID string `json:"clientId,omitempty"`
	Account  string `json:"account,omitempty"`
	// Reason says why the call was refused.
	Reason string `json:"reason,omitempty"`
}

// Counts are totals.
type Counts struct {
	Codes          int `json:"codes"`          // exchanges of a code or a verifier that arrived
	Redeemed       int `json:"redeemed"`       // codes and verifiers that were redeemed
	CodesReused    int `json:"codesReused"`    // codes that arrived again: each ended its consent
	Refreshes      int `json:"refreshes"`      // refreshes that arrived
	Refreshed      int `json:"refreshed"`      // refresh tokens that were answered with tokens
	Graced         int `json:"graced"`         // of these, replaced ones that were still taken
	RefreshReused  int `json:"refreshReused"`  // replaced refresh tokens that were refused
	RequestTokens  int `json:"requestTokens"`  // requests for OAuth 1.0a's request tokens
	WrongSecrets   int `json:"wrongSecrets"`   // clients that did not prove who they are
	WrongSignature int `json:"wrongSignature"` // OAuth 1.0a's signatures that are not right
	Revocations    int `json:"revocations"`    // requests to end a consent that arrived
	Revoked        int `json:"revoked"`        // consents that a client has ended
	Registrations  int `json:"registrations"`  // people who were registered
	Accounts       int `json:"accounts"`       // questions whose an access token is
	Data           int `json:"data"`           // other requests that arrived at the API
	Unauthorized   int `json:"unauthorized"`   // 401 of the API
	InFlight       int `json:"inFlight"`       // requests not answered to the end at the moment
	TokensInFlight int `json:"tokensInFlight"` // of these, exchanges and refreshes
	TokensAtOnce   int `json:"tokensAtOnce"`   // the most of these that there were at once
}

// countArrival counts what has arrived.
func (r *Record) countArrival(sequence int64, counts *Counts) {
	r.Sequence = sequence
	counts.InFlight++
	switch r.Area {
	case areaRequestToken:
		counts.RequestTokens++
	case areaCode:
		counts.Codes++
	case areaRefresh:
		counts.Refreshes++
	case areaRevoke:
		counts.Revocations++
	case areaAccount:
		counts.Accounts++
	case areaData:
		counts.Data++
	}
	if r.Area == areaCode || r.Area == areaRefresh {
		counts.TokensInFlight++
		counts.TokensAtOnce = max(counts.TokensAtOnce, counts.TokensInFlight)
	}
}
