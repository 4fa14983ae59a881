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
func (in *signedInUser) checkNotRevoked(ctx context.Context, who delegation.Person) error {
	if !in.revocations.RevokedAs(in.session, who) {
		return nil
	}
	if !in.session.Remote() {
		return session.RefuseRevoked()
	}
	// Otherwise the cache would return the same session: it was not revoked as that of
	// the persons by whom it was looked up there.
	in.forgetSession()
	again, err := in.verifier.Verify(ctx, in.credential)
	if err != nil {
		return err
	}
	if again.Subject != in.session.Subject || in.revocations.RevokedAs(again, who) {
		return session.RefuseRevoked()
	}
	return nil
}

// forgetSession drops the session from the cache.
func (in *signedInUser) forgetSession() {
	if c, ok := in.verifier.(*session.Cache); ok {
		c.Forget(in.credential)
	}
}

// signedInUserKey is unexported so that no other handler can sign anybody in.
type signedInUserKey struct{}

// userPrefix is the prefix of the placeholders that authenticators set.
const userPrefix = "http.auth.user."

// setPlaceholders sets {http.auth.user.*}. before is the user of an earlier app_session of
// the request; it may be nil. Claims are looked up when they are used: few are.
func (in *signedInUser) setPlaceholders(repl *caddy.Replacer, before *signedInUser) {
	repl.Set(userPrefix+"id", in.session.Subject)
	// The last app_session counts, for the claims as for the subject: the claims of one
	// session with the subject of another would be somebody else's.
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
			return nil, false // another authenticator has run since
		}
		return last.claim(claim), true
	})
}

// claim returns a claim of the session as text; "" if there is none.
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
