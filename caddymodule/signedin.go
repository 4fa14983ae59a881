// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// signedIn is who app_session found signed in.
type signedIn struct {
	session *session.Session
	slot    session.Slot
	realm   string
}

// signedInKey is unexported so that no other handler can sign anybody in.
type signedInKey struct{}

// userPrefix is of the placeholders that authenticators set.
const userPrefix = "http.auth.user."

// name sets the placeholders. Claims are looked up when they are asked for:
// few are.
func (in *signedIn) name(repl *caddy.Replacer) {
	repl.Set(userPrefix+"id", in.session.Subject)
	repl.Map(func(key string) (any, bool) {
		claim, ok := strings.CutPrefix(key, userPrefix)
		if !ok {
			return nil, false
		}
		value, _ := in.session.Claim(claim)
		return value, true
	})
}
