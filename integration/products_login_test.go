// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// loginProduct is a login in the form that its documentation gives. What each is
// from stands on the page, at "Facts".
type loginProduct struct {
	name    string                      // the heading of its block
	user    func(n int) any             // how it names its users: a string, or a number
	signOut string                      // the method of its sign-out. Empty: POST
	ids     []any                       // other forms of names that it gives
	cookie  string                      // what holds the session. Empty: a bearer
	bearer  bool                        // whether a bearer counts beside the cookie
	wrap    func(session string) string // what the cookie's value is. Nil: the session
	cut     int                         // how long a cookie gets before it is cut. 0: it is not
	client  string                      // the claim that tells whom a token is for. Empty: none does
	others  map[string][]any            // what it gives out that is no session: see [productServer.other]

	signed *signedLogin // one of the two
	asked  *askedLogin

	// logoutToken are the claims of a session's logout token, besides those that
	// all have. Nil: it sends none.
	logoutToken func(session map[string]any) map[string]any
}

// signedLogin is one whose sessions are signed.
type signedLogin struct {
	keys   string                               // the path of its keys
	format func(kid string, key publicSide) any // how it publishes them. Nil: as a JSON Web Key Set
	alg    jose.SignatureAlgorithm
	typ    string
	secret string // the file of the secret, for HMAC
	claims func(user any, now time.Time) map[string]any
}

// askedLogin is one that has to be asked about its sessions.
type askedLogin struct {
	path     string                     // of the question
	subject  string                     // where the answer names the user
	value    func(random string) string // what a session looks like. Nil: as it is
	answer   func(user any, now time.Time) map[string]any
	expire   func(answer map[string]any, ended time.Time) // Nil: the answer does not tell of the end
	nobody   func(w http.ResponseWriter)
	question func(r *http.Request) bool // whether it takes the question for one. Nil: any
}
