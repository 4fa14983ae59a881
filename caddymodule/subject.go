// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

const (
	defaultSubject = "{http.auth.user.id}"
	defaultRealm   = "default"
)

// SubjectSettings say by what a directive knows the signed-in user.
type SubjectSettings struct {
	// Subject is the placeholder that names the signed-in user. It must be one
	// that only an authenticator sets: {http.auth.user.*}, or
	// {http.reverse_proxy.header.*} for the answer of forward_auth's server.
	// Empty at request time means that nobody is signed in.
	// Default: `{http.auth.user.id}`.
	Subject string `json:"subject,omitempty"`

	// Realm is the namespace of the subjects: users of two authenticators may
	// have the same name. Default: that of app_session where it named the user,
	// otherwise `default`.
	Realm string `json:"realm,omitempty"`

	realmNames      *realmNames
	recordedAliases *atomic.Pointer[aliases] // of the sessions that were last known to be used by this directive's name
}

// provision sets the default and checks the settings.
func (s *SubjectSettings) provision(realms *realmNames) error {
	if s.Subject == "" {
		s.Subject = defaultSubject
	}
	if err := s.check(); err != nil {
		return err
	}
	if strings.Contains(s.Realm, "{") {
		return fmt.Errorf("realm %s: write a fixed name, a realm takes no placeholder", s.Realm)
	}
	realms.add(s.Realm)
	s.realmNames, s.recordedAliases = realms, new(atomic.Pointer[aliases])
	return nil
}

// check refuses a subject that a client can choose, or whose values are other
// users' names.
func (s *SubjectSettings) check() error {
	if s.Subject == "" {
		return nil
	}
	if err := checkPlaceholder(s.Subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	return checkClaimRealm(s.Subject, s.Realm)
}

// signedInUser returns who app_session found signed in, if it is by that session
// that this directive knows the user: another authenticator may have run as
// well. Otherwise nil.
func (s *SubjectSettings) signedInUser(r *http.Request, repl *caddy.Replacer) *signedInUser {
	user, ok := r.Context().Value(signedInUserKey{}).(*signedInUser)
	if !ok || !strings.HasPrefix(s.Subject, "{"+userPrefix) || placeholderValue(repl, nil, defaultSubject) != user.session.Subject {
		return nil
	}
	return user
}

// person returns who is asking. user is what signedInUser has found. The error
// is a [delegation.Refusal]: session_required if nobody is signed in.
func (s *SubjectSettings) person(r *http.Request, repl *caddy.Replacer, user *signedInUser) (delegation.Person, error) {
	if status := s.forwardAuthStatus(repl); status != 0 && status/100 != 2 {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, fmt.Errorf("the auth server answered %d", status))
	}
	subject := placeholderValue(repl, user, s.Subject)
	if subject == "" {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, emptySubjectError(s.Subject, repl))
	}
	who := delegation.Person{Realm: s.Realm, Subject: subject}
	switch {
	case who.Realm != "":
	case user != nil:
		who.Realm = user.realm
	default:
		who.Realm = defaultRealm
		s.realmNames.usedDefault.Store(true)
	}
	if user != nil {
		if err := user.checkNotRevoked(r.Context(), who); err != nil {
			return delegation.Person{}, err
		}
		s.recordAlias(user)
	}
	return who, nil
}

// knownPerson is who is asking, for log and statistics; the zero person if
// nobody is signed in.
func (s *SubjectSettings) knownPerson(r *http.Request) delegation.Person {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return delegation.Person{}
	}
	who, _ := s.person(r, repl, s.signedInUser(r, repl))
	return who
}

// forwardAuthStatus is the status of the auth server's response, if the subject
// is taken from that; otherwise 0. With a handle_response of its own
// forward_auth lets pass what was not 2xx, such as a redirect to a login page: a
// name in the headers of that is nobody who is signed in.
func (s *SubjectSettings) forwardAuthStatus(repl *caddy.Replacer) int {
	if !strings.HasPrefix(s.Subject, authResponsePlaceholder) {
		return 0
	}
	return authServerStatus(repl)
}

// isNonBrowserClient reports whether somebody who is signed in asks by no page
// of a browser, as browsers send one of these headers with each WebSocket. Such
// a client may learn of the policy what it would with an Origin.
func (s *SubjectSettings) isNonBrowserClient(r *http.Request, repl *caddy.Replacer, user *signedInUser) bool {
	if len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 {
		return false
	}
	_, err := s.person(r, repl, user)
	return err == nil
}

// subjectAlias is the name that this directive gives to the users of sessions.
// ok is false if it takes them from no session, or by the session's own name.
func (s *SubjectSettings) subjectAlias() (alias session.Alias, ok bool) {
	claim, ok := strings.CutPrefix(s.Subject, "{"+userPrefix)
	alias = session.Alias{Realm: s.Realm, Claim: strings.TrimSuffix(claim, "}")}
	return alias, ok && alias != session.Alias{Claim: "id"}
}

// recordAlias notes that a session is used by this directive's name.
func (s *SubjectSettings) recordAlias(user *signedInUser) {
	if s.recordedAliases.Load() == user.aliases {
		return
	}
	if alias, ok := s.subjectAlias(); ok && user.aliases != nil {
		user.aliases.learn(alias)
	}
	s.recordedAliases.Store(user.aliases)
}

// checkCaddyfile is check with the file and line of a Caddyfile.
func (s *SubjectSettings) checkCaddyfile(d *caddyfile.Dispenser) error {
	if err := s.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
