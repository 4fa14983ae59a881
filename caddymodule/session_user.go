// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// signedInUser is who app_session found signed in.
type signedInUser struct {
	session     *session.Session
	credential  session.Credential
	verifier    session.Verifier // of the credential
	revocations *session.Revocations
	realm       string
	aliases     *aliases                      // the names that such sessions are used by
	latest      *atomic.Pointer[signedInUser] // of all app_session of the request
}

// checkNotRevoked refuses a session that is revoked by a name that it is used by: that of
// a configured realm, or of another claim. Who was asked about it before that
// is asked again.
func (in *signedInUser) checkNotRevoked(ctx context.Context, who delegation.Person) error {
	if !in.revocations.RevokedAs(in.session, who) {
		return nil
	}
	if !in.session.Remote() {
		return session.RefuseRevoked()
	}
	in.forgetSession() // or it would be found good by the names it was looked up by before
	again, err := in.verifier.Verify(ctx, in.credential)
	if err != nil {
		return err
	}
	if again.Subject != in.session.Subject || in.revocations.RevokedAs(again, who) {
		return session.RefuseRevoked()
	}
	return nil
}

// people are the names by which the user is known: the session's, or else the
// one.
func (in *signedInUser) people(who delegation.Person) []delegation.Person {
	if in == nil {
		return []delegation.Person{who}
	}
	return in.session.People()
}

// forgetSession drops the session from memory: it is not needed any longer.
func (in *signedInUser) forgetSession() {
	if c, ok := in.verifier.(*session.Cache); ok {
		c.Forget(in.credential)
	}
}

// signedInUserKey is unexported so that no other handler can sign anybody in.
type signedInUserKey struct{}

// userPrefix is of the placeholders that authenticators set.
const userPrefix = "http.auth.user."

// setPlaceholders sets the placeholders. Claims are looked up when they are asked for:
// few are.
func (in *signedInUser) setPlaceholders(repl *caddy.Replacer, before *signedInUser) {
	repl.Set(userPrefix+"id", in.session.Subject)
	// Of two app_session the last one counts, for the claims as for the
	// subject: the claims of one with the subject of another would be
	// somebody else's.
	if before != nil {
		in.latest = before.latest
		in.latest.Store(in)
		return
	}
	holder := new(atomic.Pointer[signedInUser])
	holder.Store(in)
	in.latest = holder
	repl.Map(func(key string) (any, bool) {
		claim, ok := strings.CutPrefix(key, userPrefix)
		if !ok {
			return nil, false
		}
		last := holder.Load()
		if id, _ := repl.Get(userPrefix + "id"); id != last.session.Subject {
			return nil, false // another authenticator ran behind
		}
		return last.claim(claim), true
	})
}

// claim is what the session says by a name; "" if nothing.
func (in *signedInUser) claim(name string) string {
	if name == "id" {
		return in.session.Subject
	}
	value, ok := in.session.Claim(name)
	if !ok && name == "exp" && !in.session.Expires.IsZero() {
		value = strconv.FormatInt(in.session.Expires.Unix(), 10)
	}
	return value
}
