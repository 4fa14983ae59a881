// SPDX-License-Identifier: Apache-2.0

package refusals

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// Step is a part of a request's way in which it can be refused.
type Step string

// The steps, in the order in which a request meets them.
const (
	StepSession     Step = "session"     // who is asking
	StepRequest     Step = "request"     // its origin, form and size
	StepPolicy      Step = "policy"      // the `allow` lines
	StepParticipant Step = "participant" // whom of the platform's that is
	StepConsent     Step = "consent"     // what that person has connected, and connecting it
	StepToken       Step = "token"       // the token endpoint of the platform
	StepWiring      Step = "wiring"      // handlers and modules of this server
	StepCapacity    Step = "capacity"    // too much at a time
	StepUpstream    Step = "upstream"    // the platform's API
)

var steps = map[delegation.Code]Step{
	delegation.SessionRequired:      StepSession,
	delegation.SessionUnavailable:   StepSession,
	delegation.CrossOrigin:          StepRequest,
	delegation.PathAmbiguous:        StepRequest,
	delegation.HeadersTooLarge:      StepRequest,
	delegation.BodyIncomplete:       StepRequest,
	delegation.BodyTooLarge:         StepRequest,
	delegation.TooEarly:             StepRequest,
	delegation.RouteDenied:          StepPolicy,
	delegation.MethodNotAllowed:     StepPolicy,
	delegation.ParticipantUnknown:   StepParticipant,
	delegation.ParticipantAmbiguous: StepParticipant,
	delegation.ParticipantWithdrawn: StepParticipant,
	delegation.ConsentRequired:      StepConsent,
	delegation.ConsentDenied:        StepConsent,
	delegation.FlowExpired:          StepConsent,
	delegation.TokenRejected:        StepConsent,
	delegation.AccountConflict:      StepConsent,
	delegation.GrantsUnavailable:    StepConsent,
	delegation.DelegationRefused:    StepToken,
	delegation.CredentialsRejected:  StepToken,
	delegation.ScopeRejected:        StepToken,
	delegation.IssuerUnavailable:    StepToken,
	delegation.IssuerThrottled:      StepToken,
	delegation.NotDelegated:         StepWiring,
	delegation.Overloaded:           StepCapacity,
	delegation.TooManyRequests:      StepCapacity,
	delegation.UpstreamUnauthorized: StepUpstream,
	delegation.UpstreamRedirected:   StepUpstream,
	delegation.UpstreamUnreadable:   StepUpstream,
	delegation.UpstreamUnavailable:  StepUpstream,
	delegation.UpstreamTimeout:      StepUpstream,
	delegation.UpstreamDown:         StepUpstream,
}

// StepOf returns the step in which requests are refused with a code; that of the
// wiring for one that is unknown, as only a module of somebody else's has.
func StepOf(code delegation.Code) Step {
	if step, ok := steps[code]; ok {
		return step
	}
	return StepWiring
}
