// SPDX-License-Identifier: Apache-2.0

// Package blame tells whom an answer, or the lack of one, is about: that
// decides whom it can hurt. A [Verdict] about a credential or a person never
// keeps anybody else from being served; a [Breaker] opens only for verdicts
// about the service, counted by distinct people.
package blame

import (
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Verdict is whom the outcome of one question is about. The zero value is
// [Nobody].
type Verdict struct {
	subject subject
	refusal *delegation.Refusal
}

type subject int

const (
	subjectNone subject = iota
	subjectHealthy
	subjectCredential
	subjectPerson
	subjectService
	subjectUnreachable
)

// Neutral is the verdict of a decision of our own, such as that too many wait.
// It says nothing of anybody.
func Neutral() Verdict { return Verdict{} }

// Healthy is the verdict of an answer as it should be.
func Healthy() Verdict { return Verdict{subject: subjectHealthy} }

// CredentialFault is the verdict of an answer that may be made by the one credential
// or request, which anybody can send as many of as they like: a rate limit, a
// status that nobody expects, a body that is none. It says nothing of the
// service.
func CredentialFault() Verdict { return Verdict{subject: subjectCredential} }

// PersonRefused is the verdict of a decision about one person. Who decides is well.
func PersonRefused() Verdict { return Verdict{subject: subjectPerson} }

// ServiceFailed is the verdict of silence, or of an answer that says that the
// service is in trouble. It is the asking person's until it hits others too.
func ServiceFailed(r *delegation.Refusal) Verdict { return Verdict{subjectService, r} }

// Unreachable is the verdict of a connection that could not be made. Nobody's
// request can be the cause: it was not sent.
func Unreachable(r *delegation.Refusal) Verdict { return Verdict{subjectUnreachable, r} }

// ConcernsService tells whether the verdict may be everybody's.
func (v Verdict) ConcernsService() bool { return v.subject >= subjectService }

// VerdictOf returns the verdict of a refusal by a token endpoint, or by a platform.
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
