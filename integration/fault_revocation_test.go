// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// realmed is the login's Caddyfile where people's realm has a name.
func realmed(l *login, options, session, directive string) string {
	c := administered(l.caddyfile(options))
	if session != "" {
		c = strings.ReplaceAll(c, "app_session {\n", "app_session {\n\t\t\trealm "+session+"\n")
	}
	if directive != "" {
		c = strings.ReplaceAll(c, "delegate_proxy mydatahelps\n", "delegate_proxy mydatahelps {\n\t\t\trealm "+directive+"\n\t\t}\n")
	}
	return c
}

// TestA2_PurgeByTheRealmAsUsed protects somebody whose session was stolen: the
// operator ends it by the name that logs, grants and directives have for the
// person, whoever gave the realm its name. A misspelt one is seen in the answer.
func TestA2_PurgeByTheRealmAsUsed(t *testing.T) {
	const patients = "{patients}"
	for name, c := range map[string]struct{ session, directive string }{
		"of app_session":             {patients, ""},
		"of a directive":             {"", patients},
		"of both":                    {patients + "-users", patients},
		"of app_session, used again": {patients, patients + "-users"},
	} {
		for _, path := range []string{participantPath, "/maybe/api/v1/delegated/participant"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				realm := strings.ToLower(rand.Text()) // what is revoked is the process's
				named := strings.NewReplacer(patients, realm)
				l := newLogin(t)
				s := start(t, realmed(l, "", named.Replace(c.session), named.Replace(c.directive)))
				a, u := newAdmin(t, s), signIn(t, s, "alice")
				get := func(session string) answer {
					return u.do(u.with(http.MethodGet, path, "Authorization", "Bearer "+session))
				}
				alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
				get(alice).want(t, http.StatusOK, "")
				get(bob).want(t, http.StatusOK, "")
				purge := func(realm string) (met struct {
					Sessions, Tokens, Lookups int
					Complete                  bool
					Message                   string
				},
				) {
					t.Helper()
					got := a.send(http.MethodPost, "/delegate/purge", `{"realm":"`+realm+`","subject":"alice","sessions":true}`)
					if err := json.Unmarshal([]byte(got.body), &met); err != nil || got.StatusCode != http.StatusOK || !met.Complete {
						t.Fatalf("%d %s", got.StatusCode, got.body)
					}
					return met
				}
				if met := purge("misspelt"); met.Sessions+met.Tokens+met.Lookups != 0 || !strings.Contains(met.Message, realm) {
					t.Errorf("a misspelt realm: %+v", met)
				}
				a.purge(`{"realm":"`+realm+`","subject":"alice"}`, `"mydatahelps"`)
				get(alice).want(t, http.StatusOK, "") // tokens alone
				if met := purge(realm); met.Sessions != 1 || met.Message != "" {
					t.Errorf("it met %+v; want the session", met)
				}
				get(alice).want(t, http.StatusUnauthorized, "session_required")
				get(bob).want(t, http.StatusOK, "")
				get(l.session("alice", nil)).want(t, http.StatusOK, "") // signed in anew
			})
		}
	}
}

// TestA2_SignOutInARealm protects who signs out where the realm has a name: the
// sessions are over wherever they were used.
func TestA2_SignOutInARealm(t *testing.T) {
	l := newLogin(t)
	realm := strings.ToLower(rand.Text())
	s := start(t, realmed(l, "", realm+"-users", realm+"-patients"))
	u := signIn(t, s, "alice")
	get := func(session string) answer {
		return u.do(u.with(http.MethodGet, participantPath, "Authorization", "Bearer "+session))
	}
	phone, laptop := l.session("alice", ago(time.Minute)), l.session("alice", map[string]any{"iat": ago(time.Minute)["iat"], "x": 1})
	get(phone).want(t, http.StatusOK, "")
	get(laptop).want(t, http.StatusOK, "")
	u.do(u.with(http.MethodPost, "/logout", "Authorization", "Bearer "+phone))
	get(phone).want(t, http.StatusUnauthorized, "session_required")
	get(laptop).want(t, http.StatusUnauthorized, "session_required")
	get(l.session("alice", nil)).want(t, http.StatusOK, "")
}

// TestA8_SeenBeforeItWasIssued protects who signs out, or whom the operator
// signs out, where the issuer's clock is ahead: a session that was used before
// is over, also after a restart, and one from after it is not.
func TestA8_SeenBeforeItWasIssued(t *testing.T) {
	l, _, a, b := fleetOf(t)
	early := func(user string, x int) string {
		return l.session(user, map[string]any{"iat": time.Now().Add(10 * time.Second).Unix(), "x": x})
	}
	phone, laptop, stolen := early("alice", 1), early("alice", 2), early("bob", 3)
	for _, m := range []*machine{a, b} {
		for _, session := range []string{phone, laptop, stolen} {
			m.want("before", session, http.StatusOK)
		}
	}
	tablet := early("alice", 4) // was seen there only
	b.want("before, there", tablet, http.StatusOK)
	a.signOut(phone)
	a.admin.send(http.MethodPost, "/delegate/purge", `{"realm":"`+l.URL+`","subject":"bob","sessions":true}`)
	for name, session := range map[string]string{"alice's phone": phone, "alice's laptop": laptop, "bob's, by the operator": stolen} {
		a.want(name, session, http.StatusUnauthorized)
		b.ends(name+", there", session)
	}
	b.ends("the one that only the other machine had seen", tablet)
	a.ends("and it tells", tablet)
	for _, m := range []*machine{a, b} {
		m.want("signed in anew", early("alice", 5), http.StatusOK)
		m.want("bob signed in anew", early("bob", 6), http.StatusOK)
	}
	for _, m := range []*machine{a, b} {
		m.restart()
		for _, session := range []string{phone, laptop, stolen, tablet} {
			m.want("after a restart", session, http.StatusUnauthorized)
		}
	}
}

// TestRevoked_EndedStaysEnded is the set-up of the documentation: sign out on
// one machine, see it on the other; Redis ends, sign out; it begins again,
// empty, and a machine too.
func TestRevoked_EndedStaysEnded(t *testing.T) {
	l, r, a, b := fleetOf(t)
	alice, bob, carol := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute)), l.session("bob", map[string]any{"sub": "alice", "sid": "s", "iat": time.Now().Unix()})
	for _, m := range []*machine{a, b} {
		m.want("alice", alice, http.StatusOK)
		m.want("bob", bob, http.StatusOK)
	}
	a.signOut(alice)
	b.ends("alice is out there too", alice)
	r.kill()
	eventually(t, "Redis is missed", func() bool { up, _ := a.admin.shared(); a.get(bob); return !up })
	a.signOut(bob)
	a.want("bob is out", bob, http.StatusUnauthorized)
	a.want("signed in anew while Redis is away", carol, http.StatusOK)
	r.start()
	a.shares()
	b.ends("bob is out there too", bob)
	for _, m := range []*machine{b, a} {
		m.restart()
		m.want("alice stays out", alice, http.StatusUnauthorized)
		m.want("bob stays out", bob, http.StatusUnauthorized)
	}
	r.do("FLUSHALL")
	eventually(t, "it is written again", func() bool { return len(r.keys("revoked")) == 2 })
	b.shares()
	a.restart()
	a.want("alice, after Redis has lost all", alice, http.StatusUnauthorized)
	a.want("bob, after Redis has lost all", bob, http.StatusUnauthorized)
}

// TestRevoked_Everybody protects everybody after a mistake in the app's login:
// all sessions end, on all machines and for good, and who signs in anew is in.
func TestRevoked_Everybody(t *testing.T) {
	l, _, a, b := fleetOf(t)
	alice := l.session("alice", ago(time.Minute))
	early := l.session("bob", map[string]any{"iat": time.Now().Add(10 * time.Second).Unix()})
	for _, m := range []*machine{a, b} {
		m.want("alice", alice, http.StatusOK)
		m.want("bob", early, http.StatusOK)
	}
	got := a.admin.send(http.MethodPost, "/delegate/purge", `{"sessions":true}`)
	for _, want := range []string{`"complete":true`, `"sessions":2`, `"machines":1`} {
		if got.StatusCode != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%d %s; want %s", got.StatusCode, got.body, want)
		}
	}
	for _, m := range []*machine{a, b} {
		m.ends("alice", alice)
		m.ends("bob", early)
		m.want("signed in anew", l.session("alice", nil), http.StatusOK)
		m.restart()
		m.want("alice, after a restart", alice, http.StatusUnauthorized)
		m.want("bob, after a restart", early, http.StatusUnauthorized)
	}
}

// TestRevoked_AskedElsewhere protects who signs out of an app that is asked
// about its sessions, and keeps their value: the other machine, which remembers
// the answer, asks again, and whoever has signed in anew is in at once.
func TestRevoked_AskedElsewhere(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	_, lines := sharingLines(t, s, r)
	var in atomic.Bool
	in.Store(true)
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !in.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"sub":"alice"}`))
	}))
	s.App.Handle("/leave", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { in.Store(false) }))
	session := `
		app_session {
			bearer
			session_endpoint http://[[.AppAddr]]/api/me {
				cache 10m
			}
		}`
	caddyfile := administered(caddyfileOf(lines, `
	handle_path /mdh/* {`+session+`
		delegate_proxy mydatahelps {
			realm patients
		}
	}
	handle /leave {`+session+`
		delegate_logout {
			realm patients
		}
		reverse_proxy [[.AppAddr]]
	}`))
	a, b := newMachine(t, s, caddyfile), newMachine(t, s, caddyfile)
	a.shares()
	b.shares()
	const value = "the-same-value"
	a.want("before", value, http.StatusOK)
	b.want("before, there", value, http.StatusOK)
	if got := a.status(http.MethodPost, "/leave", value); got != http.StatusOK {
		t.Fatal(got)
	}
	a.want("after", value, http.StatusUnauthorized)
	b.ends("after, there", value)
	in.Store(true)
	for _, m := range []*machine{a, b} {
		eventually(t, "signed in anew", func() bool { return m.get(value) == http.StatusOK })
	}
	if got := a.admin.send(http.MethodPost, "/delegate/purge", `{"realm":"patients","subject":"alice","sessions":true}`); !strings.Contains(got.body, `"sessions":1`) {
		t.Errorf("%s", got.body)
	}
	// Whom the operator signs out is asked about again: the app knows better.
	a.want("after the purge", value, http.StatusOK)
}
