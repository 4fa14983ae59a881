// SPDX-License-Identifier: Apache-2.0

// Package circuit is a circuit breaker for services that are asked for many people.
// Each answer, or the lack of one, gets a [Verdict]: whether it is about the
// credential, the person or the service. Only verdicts about the service, of
// distinct people, open the [Breaker]; one person's trouble stays theirs.
package circuit

import (
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Verdict says what the outcome of one question is about. The zero value is
// [Neutral].
type Verdict struct {
	concern concern
	refusal *delegation.Refusal
}

// concern is what a verdict is about.
type concern int

const (
	concernNone concern = iota
	concernHealthy
	concernCredential
	concernPerson
	concernService
	concernUnreachable
)

// Neutral returns the verdict of a decision of our own, such as that too many
// wait. It says nothing about the service.
func Neutral() Verdict { return Verdict{} }

// Healthy returns the verdict of an answer as it should be.
func Healthy() Verdict { return Verdict{concern: concernHealthy} }

// CredentialFault returns the verdict of an answer that the one credential or
// request may have caused: a rate limit, an unexpected status, a body that cannot
// be read. Anybody can send any number of those, so it says nothing about the
// service.
func CredentialFault() Verdict { return Verdict{concern: concernCredential} }

// PersonRefused returns the verdict of a decision about one person. A service that
// decides is healthy.
func PersonRefused() Verdict { return Verdict{concern: concernPerson} }

// ServiceFailed returns the verdict of no answer, or of one that says that the
// service is in trouble. It counts for its owner, until other owners have it too.
func ServiceFailed(r *delegation.Refusal) Verdict { return Verdict{concernService, r} }

// Unreachable returns the verdict of a connection that could not be made. No
// request can be the cause, as none was sent: it counts whoever the owner is.
func Unreachable(r *delegation.Refusal) Verdict { return Verdict{concernUnreachable, r} }

// ConcernsService reports whether the verdict is about the service.
func (v Verdict) ConcernsService() bool { return v.concern >= concernService }

// VerdictOf returns the verdict of a refusal that a token endpoint or a platform
// gave.
func VerdictOf(r *delegation.Refusal) Verdict {
	switch r.Code {
	case delegation.Overloaded, delegation.SessionRequired:
		return Neutral()
	case delegation.IssuerUnavailable, delegation.IssuerThrottled, delegation.GrantsUnavailable, delegation.CredentialsRejected:
		return ServiceFailed(r)
	default:
		return PersonRefused()
	}
}
