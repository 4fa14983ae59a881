// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const maybePath = "/maybe/api/v1/delegated/participant"

// patientsOf is the login's Caddyfile where one directive of two gives the
// realm a name.
func patientsOf(l *login, lines string) string {
	return strings.Replace(administered(l.caddyfile(lines)), "delegate_proxy mydatahelps\n", "delegate_proxy mydatahelps {\n\t\t\trealm patients\n\t\t}\n", 1)
}

func (m *machine) purgeSessions(realm, subject string) {
	m.t.Helper()
	got := m.admin.send(http.MethodPost, "/delegate/purge", `{"realm":"`+realm+`","subject":"`+subject+`","sessions":true}`)
	if got.StatusCode != http.StatusOK {
		m.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
}

func (m *machine) wantAt(what, path, session string, status int) {
	m.t.Helper()
	if got := m.status(http.MethodGet, path, session); got != status {
		m.t.Errorf("%s: %d, want %d", what, got, status)
	}
}

// TestNames_PurgeElsewhere protects somebody whose session was stolen: ended by
// one of its names, at a machine that has not seen it, it has ended by all of
// them, on all machines, and is over when those begin anew.
func TestNames_PurgeElsewhere(t *testing.T) {
	l, s, r := newLogin(t), newStack(t), newRedis(t)
	_, lines := sharingLines(t, s, r)
	c := patientsOf(l, lines)
	a, b := newMachine(t, s, c), newMachine(t, s, c)
	a.shares()
	b.shares()
	alice := l.session("alice", ago(time.Minute))
	a.want("as a patient", alice, http.StatusOK)
	a.wantAt("as herself", maybePath, alice, http.StatusOK)
	b.purgeSessions("patients", "alice")
	a.ends("as a patient", alice)
	for _, m := range []*machine{a, b} {
		m.wantAt("by the other name", maybePath, alice, http.StatusUnauthorized)
		m.restart()
		m.wantAt("after a restart", maybePath, alice, http.StatusUnauthorized)
		m.wantAt("bob", maybePath, l.session("bob", ago(time.Minute)), http.StatusOK)
	}
}

// TestNames_PurgeOfTheUnseen is the same of a session of which a machine
// remembers nothing: it has begun anew, or others have pushed it out.
func TestNames_PurgeOfTheUnseen(t *testing.T) {
	l, s := newLogin(t), newStack(t)
	a := newMachine(t, s, patientsOf(l, ""))
	alice := l.session("alice", ago(time.Minute))
	a.purgeSessions("patients", "alice")
	a.wantAt("by the other name", maybePath, alice, http.StatusUnauthorized)
	a.wantAt("where no name is given", "/who", alice, http.StatusUnauthorized)
	a.want("as a patient", alice, http.StatusUnauthorized)
	a.wantAt("bob", maybePath, l.session("bob", ago(time.Minute)), http.StatusOK)
	a.wantAt("signed in anew", maybePath, l.session("alice", nil), http.StatusOK)
}

// TestNames_OfSomebodyElse protects who has the same name at another login: the
// session ends only if it can be used by the name that is purged.
func TestNames_OfSomebodyElse(t *testing.T) {
	for name, sites := range map[string]string{
		"in places of their own": `
	handle /patients/* {[[patients]]
		delegate_proxy mydatahelps {
			realm patients
		}
	}
	handle /staff/* {[[staff]]
		delegate_proxy mydatahelps {
			realm staff
		}
	}`,
		// That only one of the two comes to each is not to be seen.
		"side by side": `
	@patients path /patients/*
	@staff path /staff/*
	[[@patients]]
	[[@staff]]
	delegate_proxy /patients/* mydatahelps {
		realm patients
	}
	delegate_proxy /staff/* mydatahelps {
		realm staff
	}`,
		"basic_auth beside": `
	@patients path /patients/*
	[[@patients]]
	basic_auth /desk/* {
		alice $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	delegate_proxy /patients/* mydatahelps
	delegate_proxy /desk/* mydatahelps {
		realm staff
	}`,
	} {
		t.Run(name, func(t *testing.T) {
			patients, staff, s := newLogin(t), newLogin(t), newStack(t)
			session := func(l *login, matcher string) string {
				return `
		app_session ` + matcher + ` {
			bearer
			jwks     ` + l.URL + `/jwks
			issuer   ` + l.URL + `
			audience app
		}`
			}
			a := newMachine(t, s, administered(caddyfileOf("", strings.NewReplacer(
				"[[patients]]", session(patients, ""), "[[staff]]", session(staff, ""),
				"[[@patients]]", session(patients, "@patients"), "[[@staff]]", session(staff, "@staff"),
			).Replace(sites))))
			// No route: who is signed in is told that it is forbidden.
			alice := patients.session("alice", ago(time.Minute))
			a.wantAt("alice, a patient", "/patients/none", alice, http.StatusForbidden)
			a.purgeSessions("staff", "alice")
			a.wantAt("alice, a patient, after alice of the staff", "/patients/none", alice, http.StatusForbidden)
		})
	}
}

// TestNames_SignOutByAnother protects who signs out at a delegate_logout whose
// name for them was purged before, and where it is open whose name that is: they
// are signed in by their own, and their sessions end by that.
func TestNames_SignOutByAnother(t *testing.T) {
	l, other, s := newLogin(t), newLogin(t), newStack(t)
	c := administered(l.caddyfile(""))
	c = strings.Replace(c, "delegate_logout\n\t\trespond \"signed out\"", `@other header Other *
		app_session @other {
			bearer
			jwks     `+other.URL+`/jwks
			issuer   `+other.URL+`
			audience app
		}
		delegate_logout {
			realm patients
		}
		respond "signed out"`, 1)
	c = strings.Replace(c, "handle /logout {\n\t\tapp_session {", "handle /logout {\n\t\t@this not header Other *\n\t\tapp_session @this {", 1)
	a := newMachine(t, s, c)
	phone, laptop := l.session("alice", ago(time.Minute)), l.session("alice", map[string]any{"iat": ago(time.Minute)["iat"], "x": 1})
	a.want("before", phone, http.StatusOK)
	a.purgeSessions("patients", "alice")
	a.want("it is open whose name that is", phone, http.StatusOK)
	a.signOut(phone)
	a.want("who has signed out", phone, http.StatusUnauthorized)
	a.want("on another device", laptop, http.StatusUnauthorized)
	a.want("signed in anew", l.session("alice", nil), http.StatusOK)
}
