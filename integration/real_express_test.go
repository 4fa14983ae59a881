// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// The numbers of the app's users: see products/express.mjs.
const aliceNumber, bobNumber = "42", "9007199254740993"

// expressSession has the app asked at a path, with more lines. An answer counts
// for as long as is given.
func (p *product) expressSession(path, life, lines string) string {
	return `
			cookie connect.sid
			session_endpoint ` + p.URL + path + ` {
				cache ` + life + `
				` + lines + `
			}`
}

func (v *visitor) expressSignIn(user string) {
	v.t.Helper()
	if a := v.post("/login", url.Values{"user": {user}}); a.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
}

// TestReal_ExpressSession protects users of express-session, and of whatever
// else numbers its users: in each way in which an app tells who is signed in,
// they get their own data, all digits of the number counting, and nobody does
// without a session.
func TestReal_ExpressSession(t *testing.T) {
	s := newStack(t, identified(stack.Alice, aliceNumber), identified(stack.Bob, bobNumber))
	p := newProduct(t, "express.mjs", nil)
	foreign := newVisitor(t, newProduct(t, "express.mjs", nil).overTLS())
	foreign.expressSignIn("alice")
	for path, lines := range map[string]string{
		"/rails/me":         "subject user.id",
		"/django/user/":     "subject pk",
		"/laravel/api/user": "subject id",
		"/empty/me":         "subject id",
		"/null/me":          "subject user.id",
		"/false/me":         "subject id",
		"/picky/me":         "subject id\nheader_up Host app.example.org\nheader_up X-Requested-With XMLHttpRequest",
	} {
		t.Run(strings.Split(path, "/")[1], func(t *testing.T) {
			load(t, s, behind(p.URL, p.expressSession(path, "1s", lines), ""))
			alice, bob, copied := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
			copied.refused()
			alice.expressSignIn("alice")
			alice.want(stack.Alice.ID)
			bob.expressSignIn("bob")
			bob.want(stack.Bob.ID)

			cookie := alice.cookies()["connect.sid"]
			copied.want(stack.Alice.ID, "Cookie", "connect.sid="+cookie)
			for name, value := range map[string]string{
				"another app's":            foreign.cookies()["connect.sid"],
				"another's signature":      cookie[:strings.LastIndex(cookie, ".")] + bob.cookies()["connect.sid"][strings.LastIndex(bob.cookies()["connect.sid"], "."):],
				"no signature":             cookie[:strings.LastIndex(cookie, ".")],
				"the session's name alone": strings.TrimPrefix(cookie[:strings.LastIndex(cookie, ".")], "s%3A"),
			} {
				if a := copied.get(participantPath, "Cookie", "connect.sid="+value); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
					t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
				}
			}

			alice.post("/logout", nil)
			alice.refusedSoon()
			copied.refusedSoon("Cookie", "connect.sid="+cookie)
			bob.want(stack.Bob.ID)
			alice.expressSignIn("bob") // another cookie
			alice.want(stack.Bob.ID)
		})
	}
}
