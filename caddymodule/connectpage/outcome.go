// SPDX-License-Identifier: Apache-2.0

package connectpage

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// The tones of a notice, which the style sheet shows.
const (
	toneGood = "good"
	toneWait = "wait"
	toneBad  = "bad"
)

// notice is an outcome as people read it.
type notice struct {
	Title string // of the source; may be empty
	Key   string // of the text
	Tone  string
}

// outcomeTexts are the texts of outcomes, by code.
var outcomeTexts = map[string]string{
	string(StateConnected): "outcome_connected",
	string(StateNone):      "outcome_disconnected",
	string(StatePending):   "outcome_pending",
	string(StateConfirm):   "outcome_confirm",
	string(StateUpdate):    "outcome_update_required",
	string(StateEnded):     "outcome_ended",

	string(delegation.ConsentDenied):        "outcome_denied",
	string(delegation.FlowExpired):          "outcome_expired",
	string(delegation.ConsentRequired):      "outcome_not_begun",
	string(delegation.AccountConflict):      "outcome_conflict",
	string(delegation.TokenRejected):        "outcome_rejected",
	string(delegation.DelegationRefused):    "outcome_rejected",
	string(delegation.CredentialsRejected):  "outcome_operator",
	string(delegation.ScopeRejected):        "outcome_operator",
	string(delegation.NotDelegated):         "outcome_operator",
	string(delegation.ParticipantWithdrawn): "outcome_withdrawn",
	string(delegation.IssuerUnavailable):    "outcome_unavailable",
	string(delegation.UpstreamUnavailable):  "outcome_unavailable",
	string(delegation.UpstreamTimeout):      "outcome_unavailable",
	string(delegation.UpstreamDown):         "outcome_unavailable",
	string(delegation.IssuerThrottled):      "outcome_busy",
	string(delegation.TooManyRequests):      "outcome_busy",
	string(delegation.Overloaded):           "outcome_busy",
	string(delegation.GrantsUnavailable):    "outcome_unreadable",
	string(delegation.SessionUnavailable):   "outcome_unreadable",
	string(delegation.SessionRequired):      "outcome_signed_out",
	string(delegation.CrossOrigin):          "outcome_other_site",
}

// notice returns how the outcome is shown, nil for none.
func (o Outcome) notice() *notice {
	if o.Code == "" {
		return nil
	}
	n := &notice{Title: o.Title, Key: "outcome_failed", Tone: toneBad}
	if key, ok := outcomeTexts[o.Code]; ok {
		n.Key = key
	}
	switch State(o.Code) {
	case StateConnected, StateNone:
		n.Tone = toneGood
	case StatePending, StateConfirm:
		n.Tone = toneWait
	}
	return n
}
