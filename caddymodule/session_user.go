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

// signedInUser is the user whom app_session has found signed in, with what it takes to
// verify the session once more.
type signedInUser struct {
	session     *session.Session
	credential  session.Credential
	verifier    session.Verifier
	revocations *session.Revocations
	realm       string
	aliases     *aliases                      // of sessions of the same namespace
	latest      *atomic.Pointer[signedInUser] // the last of all app_session of the request
}

// checkNotRevoked returns a refusal if the session is revoked as that of a person: a
// directive may name its users by a realm of its own, or by another claim. A server that
// has vouched for the session before the revocation is asked again.
func (u *signedInUser) checkNotRevoked(ctx context.Context, who delegation.Person) error {
	if !u.revocations.RevokedAs(u.session, who) {
		return nil
	}
	if !u.session.Remote() {
		return session.RefuseRevoked()
	}
	// Otherwise the cache would return the same session: it was not revoked as that of
	// the persons by whom it was looked up there.
	u.forgetSession()
	again, err := u.verifier.Verify(ctx, u.credential)
	if err != nil {
		return err
	}
	if again.Subject != u.session.Subject || u.revocations.RevokedAs(again, who) {
		return session.RefuseRevoked()
	}
	return nil
}

// forgetSession drops the session from the cache.
func (u *signedInUser) forgetSession() {
	if c, ok := u.verifier.(*session.Cache); ok {
		c.Forget(u.credential)
	}
}

// signedInUserKey is unexported so that no other handler can sign anybody in.
type signedInUserKey struct{}

// userPrefix is the prefix of the placeholders that authenticators set.
const userPrefix = "http.auth.user."

// setPlaceholders sets {http.auth.user.*}. before is the user of an earlier app_session of
// the request; it may be nil. Claims are looked up when they are used: few are.
func (u *signedInUser) setPlaceholders(repl *caddy.Replacer, before *signedInUser) {
	repl.Set(userPrefix+"id", u.session.Subject)
	// The last app_session counts, for the claims as for the subject: the claims of one
	// session with the subject of another would be somebody else's.
	if before != nil {
		u.latest = before.latest
		u.latest.Store(u)
		return
	}
	holder := new(atomic.Pointer[signedInUser])
	holder.Store(u)
	u.latest = holder
	repl.Map(func(key string) (any, bool) {
		claim, ok := strings.CutPrefix(key, userPrefix)
		if !ok {
			return nil, false
		}
		last := holder.Load()
		if id, _ := repl.Get(userPrefix + "id"); id != last.session.Subject {
			return nil, false // another authenticator has run since
		}
		return last.claim(claim), true
	})
}

// claim returns a claim of the session as text; "" if there is none.
func (u *signedInUser) claim(name string) string {
	if name == "id" {
		return u.session.Subject
	}
	value, ok := u.session.Claim(name)
	if !ok && name == "exp" && !u.session.Expires.IsZero() {
		value = strconv.FormatInt(u.session.Expires.Unix(), 10)
	}
	return value
}
