// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
