// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// The operator's account at Mydex.
const (
	mydexNID     = "45678"
	mydexToken   = "connection-token-5f21"
	mydexSecret  = "client secret+%/1"
	mydexSegment = "0123456789abcdefABCD"
)

// A route of each style, and what both directives are reached by: /pdx and
// /connect/mydex behind forward_auth, /as and /as-connect behind app_session.
const (
	datasetPath = "/api/pds/pds/me.json?dataset=ds_personal_details&instance=0"
	eventsPath  = "/calendar/get-events"
	callback    = "/connect/mydex/callback/" + mydexSegment
)

var (
	proxies  = []string{"/pdx", "/as"}
	connects = []string{"/connect/mydex", "/as-connect"}
)

const mydexProvider = `
		provider mydex {
			api_url          [[.MydexURL]]
			token_url        [[.MydexURL]]/oauth2/token
			identity_url     [[.MydexURL]]
			client_id        client:1
			client_secret    {env.MYDEX_SECRET}
			connection_nid   ` + mydexNID + `
			connection_token {env.MYDEX_CONNECTION}
			scopes           mydex:pdx post:/calendar/add-event get:/calendar/get-events
		}
		grants sqlite [[.Dir]]/grants/grants.db`

// allowed are the routes of every delegate_proxy.
const allowed = `
			allow GET,POST /api/pds/pds/me.json mydex:pdx
			allow POST /api/pds/transaction mydex:pdx
			allow POST /calendar/add-event post:/calendar/add-event
			allow GET /calendar/get-events get:/calendar/get-events`

// mydexCaddyfile is caddyfile with Mydex, its consent endpoints as the page on Mydex
// has them, and both again behind app_session.
func mydexCaddyfile(global, homemade string) string {
	return strings.Replace(caddyfile(global, `
	handle_path /pdx/* {`+stack.SignIn+`
		delegate_proxy mydex {
			subject {rp.header.Remote-User}`+allowed+`
		}
	}
	handle_path /as/* {`+appSession+`
		delegate_proxy mydex {
			realm default`+allowed+`
		}
	}
	handle_path /connect/mydex/* {
		@member {
			not method OPTIONS
			not path /callback/*
		}
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect mydex {
			url      http://127.0.0.1:[[.Port]]/connect/mydex
			then     /profile
			callback {env.MYDEX_CALLBACK}
			subject  {rp.header.Remote-User}
		}
	}
	handle_path /as-connect/* {`+appSession+`
		delegate_connect mydex {
			url   http://127.0.0.1:[[.Port]]/as-connect
			then  /profile
			realm default
		}
	}
	`, homemade), "\n\tdelegate {", "\n\tdelegate {"+mydexProvider, 1)
}

// encryptedMydex is encrypted for such a Caddyfile.
func encryptedMydex(text string) string {
	return strings.ReplaceAll(encrypted(text), "http://127.0.0.1:[[.Port]]/", "https://localhost:[[.Port]]/")
}

// mydexRig is a rig whose platform is Mydex. It never calls back by itself:
// tests tell what it would, byte by byte.
type mydexRig struct {
	*rig
	mydex  *mydex.Mydex
	secure bool // over HTTP/2
	front  atomic.Pointer[func(http.ResponseWriter, *http.Request, http.Handler)]
}

func startMydex(t testing.TB, text string) *mydexRig {
	t.Helper()
	m := &mydexRig{rig: newRig(t), secure: strings.Contains(text, "https://localhost")}
	m.mydex = mydex.New(mydex.Options{
		ClientID: "client:1", ClientSecret: mydexSecret, ConnectionNID: mydexNID, ConnectionToken: mydexToken,
		Scopes:  []string{mydex.ScopePDX, "post:/calendar/add-event", "get:/calendar/get-events"},
		Members: mydex.SampleMembers(4),
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if f := m.front.Load(); f != nil {
			(*f)(w, req, m.mydex)
			return
		}
		m.mydex.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	m.MydexURL = server.URL
	m.asked = func() any { return fmt.Sprintf("%d requests", m.last()) }
	for name, value := range map[string]string{"MYDEX_SECRET": mydexSecret, "MYDEX_CONNECTION": mydexToken, "MYDEX_CALLBACK": mydexSegment} {
		t.Setenv(name, value)
	}
	m.load(text)
	return m
}

// last is the number of the latest request that reached Mydex.
func (m *mydexRig) last() int64 {
	if all := m.mydex.Records(); len(all) > 0 {
		return all[len(all)-1].Sequence
	}
	return 0
}

// since are the requests after a number, of one area.
func (m *mydexRig) since(sequence int64, area string) []mydex.Record {
	return slices.DeleteFunc(m.mydex.Records(), func(r mydex.Record) bool { return r.Sequence <= sequence || r.Area != area })
}

// intercept has f answer what is sent to Mydex; nil ends that.
func (m *mydexRig) intercept(f func(http.ResponseWriter, *http.Request, http.Handler)) {
	if f == nil {
		m.front.Store(nil)
		return
	}
	m.front.Store(&f)
}

// site is where browsers have our site.
func (m *mydexRig) site() string {
	if m.secure {
		return fmt.Sprintf("https://localhost:%d", m.Port)
	}
	return m.URL()
}

// do sends a request as it is, over HTTP/1.1 or, to an encrypted site, HTTP/2.
func (m *mydexRig) do(method, target, body string, lines ...string) reply {
	m.t.Helper()
	if !m.secure {
		if body != "" || method != http.MethodGet {
			lines = append(slices.Clone(lines), fmt.Sprintf("Content-Length: %d", len(body)))
		}
		return m.send(http1(method, target, m.authority(false), lines...) + body)
	}
	var fields []field
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, field{strings.ToLower(name), strings.TrimPrefix(value, " ")})
	}
	return m.send2(m.http2Request(method, target, fields...), body)
}

// member is one of the people at Mydex, connected there.
func (m *mydexRig) member(n int) mydex.Connection {
	m.t.Helper()
	c, err := m.mydex.Connect(m.mydex.Members()[n].UID)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// served wants an answer to come from Mydex for one member, by one request with
// one bearer and their identity once, each where its style has it, and returns
// what Mydex received.
func (m *mydexRig) served(what string, c mydex.Connection, ask func() reply) mydex.Record {
	m.t.Helper()
	before := m.last()
	got := ask()
	if got.status != http.StatusOK {
		m.t.Fatalf("%s: %d %s; want it served", what, got.status, got.body)
	}
	records := m.since(before, "pdx")
	if len(records) != 1 {
		m.t.Fatalf("%s: %d calls of the API", what, len(records))
	}
	m.theirs(what, c, records[0])
	return records[0]
}

// theirs wants a request to be one member's, and nobody else's.
func (m *mydexRig) theirs(what string, c mydex.Connection, r mydex.Record) {
	m.t.Helper()
	bearer, tokens, query := r.Header["Authorization"], r.Header["Connection-Token"], mydex.ReadQuery(r.RawQuery)
	if len(bearer) != 1 || !strings.HasPrefix(bearer[0], "Bearer ory_at_") || r.UID != c.UID {
		m.t.Errorf("%s: %d credentials, of %q; want one of %s: %s", what, len(bearer), r.UID, c.UID, r.URI)
	}
	uid, key, source := query["uid"], query["key"], query["source_type"]
	if strings.HasPrefix(r.URI, "/api/pds/") {
		byPath := uid == nil && strings.HasPrefix(r.URI, "/api/pds/pds/"+c.UID+".json?")
		byQuery := uid == any(c.UID) && strings.HasPrefix(r.URI, "/api/pds/transaction?")
		if len(tokens) > 0 || !byPath && !byQuery || key != any(c.Key) || source != any("connection") {
			m.t.Errorf("%s: a dataset was asked for by %s, Connection-Token %q", what, r.URI, tokens)
		}
	} else if !slices.Equal(tokens, []string{c.Key}) || uid != any(c.UID) || key != nil || source != nil {
		m.t.Errorf("%s: a block was asked for by %s, Connection-Token %q", what, r.URI, tokens)
	}
	if query["con_id"] != any(c.ConID) || strings.Count(r.URI, c.ConID) != 1 || strings.Count(r.URI, c.Key)+len(tokens) != 1 {
		m.t.Errorf("%s: the identity is not once in %s", what, r.URI)
	}
}

// reached wants the control: an attack on the homemade site that reached Mydex,
// and returns what that received.
func (m *mydexRig) reached(what string, ask func() reply) mydex.Record {
	m.t.Helper()
	before := m.last()
	got := ask()
	records := m.mydex.Records()
	records = slices.DeleteFunc(records, func(r mydex.Record) bool { return r.Sequence <= before })
	if len(records) != 1 {
		m.t.Fatalf("control, %s: %d %s: %d requests reached Mydex; the test would not see the hole", what, got.status, got.body, len(records))
	}
	return records[0]
}

// bearer is the header of the operator's own token, as Mydex receives it for a
// member who is signed in: a homemade site has none.
func (m *mydexRig) bearer(session string) string {
	m.t.Helper()
	before := m.last()
	got := m.do(http.MethodGet, "/pdx"+eventsPath, "", session)
	records := m.since(before, "pdx")
	if len(records) != 1 {
		m.t.Fatalf("%d %s: there is no token", got.status, got.body)
	}
	return "Authorization: " + records[0].Header.Get("Authorization")
}
