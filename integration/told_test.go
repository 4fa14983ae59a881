// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// told is an app, or an issuer, that is asked about sessions and answers as a test
// has it.
type told struct {
	*user
	log    string // of Caddy
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
	signed atomic.Int64 // sessions so far
}

// The two ways to ask. LINES stands for more settings.
const (
	asksApp = `cookie session
			bearer
			session_endpoint http://[[.AppAddr]]/api/me {
				subject user.id
				cache   0
				LINES
			}`
	asksIssuer = `cookie session
			bearer
			introspect http://[[.AppAddr]]/api/me {
				client_id     caddy
				client_secret secret
				cache         0
				LINES
			}
			realm people`
)

// newTold starts Caddy with an app_session of these settings.
func newTold(t *testing.T, session, lines string, participants ...simulator.Participant) *told {
	t.Helper()
	s := newStack(t, participants...)
	a := &told{user: signIn(t, s, "nobody")}
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		(*a.answer.Load())(w, r)
	}))
	caddyfile, file := logged(t, caddyfileOf("", `
	handle_path /mdh/* {
		app_session {
			`+strings.ReplaceAll(session, "LINES", lines)+`
		}
		delegate_proxy mydatahelps
	}
	handle /who {
		app_session {
			`+strings.ReplaceAll(session, "LINES", lines)+`
		}
		respond "{http.auth.user.id}"
	}`))
	a.log = file
	load(t, s, caddyfile)
	return a
}

// says has it answer with a status, a type and a body. It is asked with a form or
// without.
func (a *told) says(status int, kind, body string) {
	a.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func (a *told) does(f http.HandlerFunc) { a.answer.Store(&f) }

// ask sends a request with a session that was never seen before.
func (a *told) ask(path string) answer {
	a.t.Helper()
	return a.do(a.with(http.MethodGet, path, "Authorization", fmt.Sprintf("Bearer session-%d", a.signed.Add(1))))
}

// refusals are the log's lines of refused requests: their levels and causes.
func (a *told) refusals() (all []string) {
	a.t.Helper()
	found, _ := lines(a.t.(*testing.T), a.log, "refused")
	for _, line := range found {
		all = append(all, fmt.Sprintf("%s %s %s", line["level"], line["code"], line["cause"]))
	}
	return all
}
