// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
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
		// Answered here: not everything that may stand behind does.
		if _, err := s.gate.admit(w, r, false); err != nil {
			return s.gate.refuse(w, r, err)
		}
		return nil
	}
	in, err := s.verify(r)
	if err != nil && s.Optional && delegation.AsRefusal(err).Code == delegation.SessionRequired {
		return next.ServeHTTP(w, r)
	}
	if err != nil {
		// A script of a trusted origin has to be able to read why.
		s.gate.app.origins.Headers(w.Header(), r)
		return s.gate.refuse(w, r, err)
	}
	before, _ := r.Context().Value(signedInKey{}).(*signedIn)
	in.name(r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer), before)
	return next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), signedInKey{}, in)))
}

func (s *AppSession) verify(r *http.Request) (*signedIn, error) {
	credential, err := s.carrier.Find(r.Header)
	if err != nil {
		return nil, err
	}
	if others := s.gate.app.sessions; others != nil {
		others.Await(r.Context()) // who has signed out before this process began
	}
	verified, err := s.verifier.Verify(r.Context(), credential)
	if err != nil {
		return nil, err
	}
	in := &signedIn{
		session: verified, credential: credential, verifier: s.verifier, revocations: s.gate.app.revocations,
		realm: s.Realm, aliases: s.aliases,
	}
	if in.realm == "" {
		in.realm = verified.Realm
	}
	s.gate.app.resolve()
	return in, in.byAllNames(r.Context())
}
