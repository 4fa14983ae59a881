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
	about   about
	refusal *delegation.Refusal
}

type about int

const (
	nobody about = iota
	well
	credential
	person
	service
	unreachable
)

// Nobody is the verdict of a decision of our own, such as that too many wait.
// It says nothing of anybody.
func Nobody() Verdict { return Verdict{} }

// Well is the verdict of an answer as it should be.
func Well() Verdict { return Verdict{about: well} }

// Credential is the verdict of an answer that may be made by the one credential
// or request, which anybody can send as many of as they like: a rate limit, a
// status that nobody expects, a body that is none. It says nothing of the
// service.
func Credential() Verdict { return Verdict{about: credential} }

// Person is the verdict of a decision about one person. Who decides is well.
func Person() Verdict { return Verdict{about: person} }

// Service is the verdict of silence, or of an answer that says that the
// service is in trouble. It is the asking person's until it hits others too.
func Service(r *delegation.Refusal) Verdict { return Verdict{service, r} }

// Unreachable is the verdict of a connection that could not be made. Nobody's
// request can be the cause: it was not sent.
func Unreachable(r *delegation.Refusal) Verdict { return Verdict{unreachable, r} }

// OfService tells whether the verdict may be everybody's.
func (v Verdict) OfService() bool { return v.about >= service }

// Of returns the verdict of a refusal by a token endpoint, or by a platform.
func Of(r *delegation.Refusal) Verdict {
	switch r.Code {
	case delegation.Overloaded, delegation.SessionRequired:
		return Nobody()
	case delegation.IssuerUnavailable, delegation.IssuerThrottled, delegation.GrantsUnavailable, delegation.CredentialsRejected:
		return Service(r)
	default:
		return Person()
	}
}
