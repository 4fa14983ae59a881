// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// admission is the result of judging a request, and by its type says what
// happened: answered, refused, or admitted.
type admission interface{ isAdmission() }

type (
	// answered is the result for a request that has its response: a preflight.
	answered struct{}

	// refused is the result for a request that may not go on. cause is a
	// [delegation.Refusal] or a fault; the response has yet to be written.
	refused struct{ cause error }

	// admitted is the result for a request that goes on.
	admitted struct{}
)

func (answered) isAdmission() {}
func (refused) isAdmission()  {}
func (admitted) isAdmission() {}

// checkOrigin sets the CORS headers, answers preflights, and refuses what a page
// of another site had the user's browser send. user is who app_session found
// signed in; nil if it is not by that session that the directive knows the user.
func checkOrigin(origins *policy.Origins, w http.ResponseWriter, r *http.Request, upgrade bool, user *signedInUser) admission {
	origins.SetCORSHeaders(w.Header(), r)
	if policy.IsPreflight(r) {
		if !origins.AnswerPreflight(w, r) {
			return refused{delegation.Refuse(delegation.CrossOrigin, nil)}
		}
		return answered{}
	}
	if refusal := policy.CheckEarlyData(r, upgrade); refusal != nil {
		return refused{refusal}
	}
	if refusal := policy.CheckServiceWorker(r); refusal != nil {
		return refused{refusal}
	}
	if user != nil && user.credential.Source == session.InBearer {
		// No browser adds a bearer by itself. The session that authenticated
		// counts, not whether there is such a header: beside a cookie the header
		// is not read.
		return admitted{}
	}
	if refusal := origins.Check(r, upgrade); refusal != nil {
		return refused{refusal}
	}
	return admitted{}
}

// checkPublicOrigin is checkOrigin for a route that needs no session, without
// preflights: a route is public by its method, and theirs is OPTIONS.
func checkPublicOrigin(origins *policy.Origins, w http.ResponseWriter, r *http.Request, upgrade bool) admission {
	origins.SetCORSHeaders(w.Header(), r)
	if refusal := policy.CheckEarlyData(r, upgrade); refusal != nil {
		return refused{refusal}
	}
	if refusal := policy.CheckServiceWorker(r); refusal != nil {
		return refused{refusal}
	}
	if refusal := origins.CheckPublic(r); refusal != nil {
		return refused{refusal}
	}
	return admitted{}
}
