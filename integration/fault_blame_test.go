// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// troubles are what may be answered about one person, and nobody else.
var troubles = map[string]http.HandlerFunc{
	"429": limited(http.StatusTooManyRequests),
	"500": limited(http.StatusInternalServerError),
	"503": limited(http.StatusServiceUnavailable),
	"slow": func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	},
	"resets": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
}

func limited(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(status)
	}
}

// judged is an app that is asked about its sessions, at its own address or as
// an issuer, and whose trouble is with one user.
type judged struct {
	*stack.Stack
	asked   atomic.Int64
	delay   atomic.Int64 // of the answers that are no trouble
	trouble atomic.Pointer[http.HandlerFunc]
}

func newJudged(t testing.TB) *judged {
	t.Helper()
	j := &judged{Stack: newStack(t)}
	j.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := j.judge(w, r); ok {
			_ = json.NewEncoder(w).Encode(map[string]string{"sub": name})
		}
	}))
	j.App.Handle("POST /introspect", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+r.FormValue("token"))
		if name, ok := j.judge(w, r); ok {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"active": true, "sub": name})
		}
	}))
	return j
}

// judge tells whose session it is. Not ok: that was answered.
func (j *judged) judge(w http.ResponseWriter, r *http.Request) (name string, ok bool) {
	j.asked.Add(1)
	_, name = j.App.Session(r)
	if f := j.trouble.Load(); f != nil && name == "mallory" {
		(*f)(w, r)
		return "", false
	}
	if d := time.Duration(j.delay.Load()); d > 0 {
		time.Sleep(d)
	}
	switch {
	case name != "":
		return name, true
	case r.URL.Path == "/introspect":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":false}`))
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
	return "", false
}

// judges are the two ways to ask; each answer counts for a moment.
var judges = map[string]string{
	"session endpoint": `session_endpoint http://[[.AppAddr]]/api/me {
				cache 100ms
			}`,
	"introspection": `realm patients
			introspect http://[[.AppAddr]]/introspect {
				client_id     caddy
				client_secret secret
				any_audience
				cache         100ms
			}`,
}

func judgedBy(judge string) string {
	return caddyfileOf("", `
	app_session {
		cookie `+stack.CookieName+`
		`+judge+`
		http {
			timeout 2s
		}
	}
	respond "{http.auth.user.id}"`)
}

// TestA1_OnePersonsSessions protects 19 people from the twentieth, whose three
// sessions, and new ones all the time, the app or the issuer answers with a
// rate limit, with trouble, or not at all. Nobody else's request fails, those
// included who sign in meanwhile.
func TestA1_OnePersonsSessions(t *testing.T) {
	for kind, judge := range judges {
		for name, trouble := range troubles {
			t.Run(kind+" "+name, func(t *testing.T) {
				j := newJudged(t)
				load(t, j.Stack, judgedBy(judge))
				signed := func(name string) (sessions []*user) {
					for range 3 {
						u := signIn(t, j.Stack, name)
						u.get("/").want(t, http.StatusOK, "")
						sessions = append(sessions, u)
					}
					return sessions
				}
				mallory := signed("mallory")
				var others [][]*user
				for n := range 19 {
					others = append(others, signed(fmt.Sprint("person-", n)))
				}
				j.trouble.Store(&trouble)
				time.Sleep(150 * time.Millisecond) // what was answered counts no more
				var all sync.WaitGroup
				again := func(u *user) {
					req := u.request(http.MethodGet, "/", nil)
					all.Go(func() {
						if got, err := u.try(req); err == nil && got.StatusCode == http.StatusOK {
							t.Error("mallory's trouble is none")
						}
					})
				}
				for _, u := range mallory {
					again(u)
				}
				if name != "slow" {
					all.Wait() // one after the other: nobody's success comes between
				} else {
					time.Sleep(2100 * time.Millisecond)
				}
				for round := range 3 {
					for _, u := range mallory {
						again(u)
					}
					again(signIn(t, j.Stack, "mallory"))
					for n, sessions := range others {
						u := sessions[round%3]
						req := u.request(http.MethodGet, "/", nil)
						all.Go(func() {
							if got, err := u.try(req); err != nil || got.StatusCode != http.StatusOK || got.body != fmt.Sprint("person-", n) {
								t.Errorf("person %d in round %d: %v %d %s", n, round, err, got.StatusCode, got.body)
							}
						})
					}
					signIn(t, j.Stack, "somebody new").get("/").want(t, http.StatusOK, "")
					time.Sleep(200 * time.Millisecond)
				}
				all.Wait()
			})
		}
	}
}

// TestAb_OnePersonsLookup protects participants who were not looked up yet from
// those of whose names a firewall in front of the platform says what it likes.
func TestAb_OnePersonsLookup(t *testing.T) {
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			participants := simulator.SampleParticipants(19)
			s := newStack(t, participants...)
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				if strings.Contains(r.URL.Path, "/participants/odd") {
					trouble(w, r)
					return
				}
				platform.ServeHTTP(w, r)
			})
			load(t, s, strings.Replace(stack.Caddyfile, "participant_identifier", "participant_identifier\n\t\t\thttp {\n\t\t\t\ttimeout 1s\n\t\t\t}", 1))
			for n := range 3 {
				signIn(t, s, fmt.Sprint("odd;", n)).get(participantPath).want(t, http.StatusServiceUnavailable, "")
			}
			for _, p := range participants {
				got := signIn(t, s, p.Identifier).get(participantPath)
				got.want(t, http.StatusOK, "")
				if got.owner() != p.ID {
					t.Errorf("%s sees %q", p.Identifier, got.owner())
				}
			}
		})
	}
}

// TestA1_OnePersonsMints protects 19 people from the twentieth for whom the
// issuer is busy, in trouble, or slow: by tokens of as many kinds as there are
// turns at the issuer.
func TestA1_OnePersonsMints(t *testing.T) {
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			participants := simulator.SampleParticipants(20)
			mallory, others := participants[0], participants[1:]
			s := newStack(t, participants...)
			var arrived atomic.Int64
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				if isGrant(r) && form(r).Get("participant_id") == mallory.ID {
					arrived.Add(1)
					trouble(w, r)
					return
				}
				platform.ServeHTTP(w, r)
			})
			caddyfile := strings.Replace(proxied(`allow GET /api/v1/delegated/participant Participant:read
			allow GET /api/v1/delegated/project Project:read
			allow GET /api/v1/delegated/surveyanswers SurveyAnswers:read
			allow GET /api/v1/delegated/surveytasks SurveyTasks:read`, ""), "delegate {", "delegate {\n\t\ttokens {\n\t\t\tconcurrency 4\n\t\t\ttimeout 3s\n\t\t}\n", 1)
			load(t, s, caddyfile)
			var all sync.WaitGroup
			for range 3 { // sessions
				u := signIn(t, s, mallory.Identifier)
				for _, route := range []string{"participant", "project", "surveyanswers", "surveytasks"} {
					req := u.request(http.MethodGet, "/mdh/api/v1/delegated/"+route, nil)
					all.Go(func() {
						if got, err := u.try(req); err == nil && got.StatusCode == http.StatusOK {
							t.Error("mallory's trouble is none")
						}
					})
				}
			}
			await(t, "a mint of mallory's", func() bool { return arrived.Load() > 0 })
			for _, p := range others {
				signIn(t, s, p.Identifier).get(participantPath).want(t, http.StatusOK, "")
			}
			all.Wait()
		})
	}
}
