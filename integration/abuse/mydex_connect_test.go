// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// connectFlow is what one browser, and Mydex, know of a member's consent flow.
type connectFlow struct {
	m       *mydexRig
	at      string // one of connects
	session string // the header that says who is signed in
	cookie  string // name=value, by which the browser shows that it started the flow
	link    string // the linking_token
	back    string // path and query where the browser comes back
}

// startConnect starts a consent flow as a user.
func (m *mydexRig) startConnect(at, user string) *connectFlow {
	m.t.Helper()
	before := m.last()
	j := &connectFlow{m: m, at: at, session: m.rig.cookie(user)}
	got := m.do(http.MethodPost, at+"/start", "", j.session)
	set := got.header["Set-Cookie"]
	asked := m.since(before, "setup")
	if got.status != http.StatusOK || len(set) != 1 || len(asked) != 1 {
		m.t.Fatalf("start: %d %s, cookies %q, %d requests for a link", got.status, got.body, set, len(asked))
	}
	j.cookie, _, _ = strings.Cut(set[0], ";")
	var question struct {
		Link     string `json:"linking_token"`
		ReturnTo string `json:"return_to"`
	}
	if err := json.Unmarshal([]byte(asked[0].Body), &question); err != nil {
		m.t.Fatal(err)
	}
	j.link = question.Link
	var ours bool
	if j.back, ours = strings.CutPrefix(question.ReturnTo, m.site()); !ours || !strings.HasPrefix(j.back, at+"/return?state=") {
		m.t.Fatalf("the browser is to come back to %q", question.ReturnTo)
	}
	return j
}

// cookies is the header of a browser that is signed in and has started the flow.
func (j *connectFlow) cookies() string { return j.session + "; " + j.cookie }

// callbackForm is the callback of Mydex about a flow: a form, in which fields take
// the place of the true ones.
func (j *connectFlow) callbackForm(c mydex.Connection, fields ...string) string {
	form := url.Values{
		"uid": {c.UID}, "mydexid": {c.MydexID}, "key": {c.Key}, "connection_id": {c.ConID}, "linking_token": {j.link},
		"fields[ds_personal_details][0][][access][r][a]": {"1"},
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form.Encode()
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// authentic is the header by which Mydex shows that it is itself.
func authentic() string { return "Authentication: " + mydex.Hash(mydexToken) }

// postCallback sends a callback, as Mydex does when a member has agreed.
func (m *mydexRig) postCallback(body string) reply {
	m.t.Helper()
	return m.do(http.MethodPost, callback, body, authentic(), formType)
}

// wantReturn has a browser return from Mydex and wants the outcome in the address
// of the app's page.
func (j *connectFlow) wantReturn(what, outcome string) {
	j.m.t.Helper()
	j.wantReturnWith(what, outcome, j.cookies())
}

func (j *connectFlow) wantReturnWith(what, outcome string, lines ...string) {
	j.m.t.Helper()
	got := j.m.do(http.MethodGet, j.back, "", append(lines, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")...)
	if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/profile?connect="+outcome {
		j.m.t.Errorf("%s: back: %d to %q %s; want %s", what, got.status, to, got.body, outcome)
	}
}

// wantNoEffect wants what f does to complete nothing, this flow neither, and Mydex
// not to be asked.
func (j *connectFlow) wantNoEffect(what string, f func()) {
	j.m.t.Helper()
	j.m.untouched(what, func() {
		j.m.t.Helper()
		f()
		j.wantReturn(what, "pending")
	})
}

// wantConnected is the control: Mydex's own callback completes the flow, and opens
// that member's data.
func (j *connectFlow) wantConnected(what string, c mydex.Connection) {
	j.m.t.Helper()
	if got := j.m.postCallback(j.callbackForm(c)); got.status != http.StatusNoContent {
		j.m.t.Fatalf("%s: the callback: %d", what, got.status)
	}
	j.wantReturn(what, "connected")
	j.m.served(what, c, func() reply { return j.m.do(http.MethodGet, "/pdx"+datasetPath, "", j.session) })
}

// connect is a whole consent flow of a user. It returns the header that says who
// is signed in.
func (m *mydexRig) connect(user string, c mydex.Connection) string {
	m.t.Helper()
	j := m.startConnect(connects[0], user)
	j.wantConnected(user+" connects", c)
	return j.session
}

// status wants delegate_connect to answer with this status of a user's grant.
func (m *mydexRig) status(what, session, want string) {
	m.t.Helper()
	if got := m.do(http.MethodGet, connects[0]+"/status", "", session); strings.TrimSpace(got.body) != `{"status":"`+want+`"}` {
		m.t.Errorf("%s: status: %d %s; want %s", what, got.status, got.body, want)
	}
}
