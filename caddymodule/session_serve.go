// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// ServeHTTP passes the request on if somebody is signed in.
func (s *AppSession) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if policy.IsPreflight(r) {
		// Answered here, because not every handler behind answers preflights.
		if result, ok := s.directive.checkOrigin(w, r, false, nil).(refused); ok {
			return s.directive.refuse(w, r, result.cause)
		}
		return nil
	}
	user, err := s.verify(r)
	if err != nil && s.Optional && delegation.AsRefusal(err).Code == delegation.SessionRequired {
		return next.ServeHTTP(w, r)
	}
	if err != nil {
		// A script of a trusted origin has to be able to read why.
		s.directive.app.origins.SetCORSHeaders(w.Header(), r)
		return s.directive.refuse(w, r, err)
	}
	before, _ := r.Context().Value(signedInUserKey{}).(*signedInUser)
	user.setPlaceholders(r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer), before)
	return next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), signedInUserKey{}, user)))
}

// verify returns the user of the session that a request has. The error is a refusal.
func (s *AppSession) verify(r *http.Request) (*signedInUser, error) {
	credential, err := s.extractor.Extract(r.Header)
	if err != nil {
		return nil, err
	}
	if others := s.directive.app.sharedRevocations; others != nil {
		others.AwaitReady(r.Context()) // revocations from before this process began
	}
	verified, err := s.verifier.Verify(r.Context(), credential)
	if err != nil {
		return nil, err
	}
	user := &signedInUser{
		session: verified, credential: credential, verifier: s.verifier, revocations: s.directive.app.revocations,
		realm: cmp.Or(s.Realm, verified.Realm), aliases: s.aliases,
	}
	s.directive.app.resolveAliases()
	return user, user.checkAllAliases(r.Context())
}
