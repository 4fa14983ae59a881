// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Kind is the kind of a failure, which says whom it concerns.
type Kind string

// The kinds of failures.
const (
	// ClientRejected is the failure of the client's authentication
	// (invalid_client, unauthorized_client). It concerns everybody.
	ClientRejected Kind = "the issuer rejected the client"
	// ScopeRejected is the refusal of the scopes (invalid_scope).
	ScopeRejected Kind = "the issuer does not grant the scope"
	// GrantRefused is the refusal of this grant (invalid_grant, access_denied, or
	// a code of the issuer's own). It concerns one person.
	GrantRefused Kind = "the issuer refused the grant"
	// RequestUnsupported is the refusal of a request that the issuer does not
	// understand (invalid_request, unsupported_grant_type).
	RequestUnsupported Kind = "the issuer does not support the request"
	// Throttled is the refusal of too many requests (status 429).
	Throttled Kind = "the issuer is throttling"
	// Unavailable is the lack of a usable answer: network, timeout, redirect, 5xx,
	// or an answer that is no token response.
	Unavailable Kind = "the issuer gave no usable answer"
)

// errorCodes are the error codes of RFC 6749 sections 4 and 5.2. Only these words
// are ever repeated: anything else in an answer is the issuer's free text, which
// may name a person.
var errorCodes = map[string]Kind{
	"invalid_client":          ClientRejected,
	"unauthorized_client":     ClientRejected,
	"invalid_scope":           ScopeRejected,
	"invalid_grant":           GrantRefused,
	"access_denied":           GrantRefused,
	"unsupported_grant_type":  RequestUnsupported,
	"invalid_request":         RequestUnsupported,
	"server_error":            Unavailable,
	"temporarily_unavailable": Unavailable,
}

// reportedSkew is the clock skew from which on an error mentions it: less is within
// every issuer's tolerance.
const reportedSkew = 30 * time.Second

// Error is the failure of a token request. Its text holds nothing of the answer's
// body but a registered error code.
type Error struct {
	Kind Kind
	// Code is the issuer's error code, if it is a registered one (RFC 6749).
	Code string
	// Status is the answer's HTTP status; 0 without an answer.
	Status int
	// RetryAfter is how long the issuer asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Skew is the issuer's clock minus ours; 0 if unknown.
	Skew time.Duration

	reason string
}

// Error implements error, with a text that is fit for the log.
func (e *Error) Error() string {
	text := string(e.Kind)
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.reason != "" {
		text += ": " + e.reason
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.ClockSkewed() {
		text += "; " + ClockSkewCause(e.Skew) + ": set it right by NTP"
	}
	return text
}

// ClockSkewed reports whether the issuer has rejected the client and its clock
// differs by so much that this alone explains it.
func (e *Error) ClockSkewed() bool { return e.Kind == ClientRejected && e.Skew.Abs() > reportedSkew }

// ClockSkewCause returns how far this server's clock is off, and in which
// direction, as a text for the operator. skew is the issuer's clock minus ours.
func ClockSkewCause(skew time.Duration) string {
	direction := "behind"
	if skew < 0 {
		direction = "ahead of"
	}
	return fmt.Sprintf("this server's clock is %v %s the issuer's", skew.Abs().Round(time.Second), direction)
}

// Refusal returns the refusal of the request that needed the token, with the error
// as its cause.
func (e *Error) Refusal() *delegation.Refusal {
	code := delegation.IssuerUnavailable
	switch e.Kind {
	case ClientRejected, RequestUnsupported:
		code = delegation.CredentialsRejected
	case ScopeRejected:
		code = delegation.ScopeRejected
	case GrantRefused:
		code = delegation.DelegationRefused
	case Throttled:
		code = delegation.IssuerThrottled
	}
	r := delegation.Refuse(code, e)
	r.RetryAfter = e.RetryAfter
	return r
}
