// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// journey is what one browser, and Mydex, know of a member's way to consent.
type journey struct {
	m       *mydexRig
	at      string // one of connects
	session string // the header that says who is signed in
	cookie  string // name=value, by which the browser shows that it set out
	link    string // by which Mydex says which journey it is
	back    string // path and query where the browser comes back
}

// depart begins a journey.
func (m *mydexRig) depart(at, user string) *journey {
	m.t.Helper()
	before := m.last()
	j := &journey{m: m, at: at, session: m.rig.cookie(user)}
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

// both is the header of a browser that is signed in and has set out.
func (j *journey) both() string { return j.session + "; " + j.cookie }

// word is what Mydex tells of a journey: a form, in which fields take the place
// of the true ones.
func (j *journey) word(c mydex.Connection, fields ...string) string {
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

// tell is what Mydex does when a member has agreed.
func (m *mydexRig) tell(body string) reply {
	m.t.Helper()
	return m.do(http.MethodPost, callback, body, authentic(), formType)
}

// land brings a browser back from Mydex and wants the app's page to be told
// the outcome.
func (j *journey) land(what, outcome string) {
	j.m.t.Helper()
	j.landWith(what, outcome, j.both())
}

func (j *journey) landWith(what, outcome string, lines ...string) {
	j.m.t.Helper()
	got := j.m.do(http.MethodGet, j.back, "", append(lines, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")...)
	if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/profile?connect="+outcome {
		j.m.t.Errorf("%s: back: %d to %q %s; want %s", what, got.status, to, got.body, outcome)
	}
}

// untold wants what f does to tell nothing, of this journey either, and Mydex
// not to be asked.
func (j *journey) untold(what string, f func()) {
	j.m.t.Helper()
	j.m.untouched(what, func() {
		j.m.t.Helper()
		f()
		j.land(what, "pending")
	})
}

// arrived is the control: the word of Mydex itself ends the journey, and opens
// that member's data.
func (j *journey) arrived(what string, c mydex.Connection) {
	j.m.t.Helper()
	if got := j.m.tell(j.word(c)); got.status != http.StatusNoContent {
		j.m.t.Fatalf("%s: the word of Mydex: %d", what, got.status)
	}
	j.land(what, "connected")
	j.m.served(what, c, func() reply { return j.m.do(http.MethodGet, "/pdx"+datasetPath, "", j.session) })
}

// connected is a user's way, all of it. It returns the header that says who
// is signed in.
func (m *mydexRig) connected(user string, c mydex.Connection) string {
	m.t.Helper()
	j := m.depart(connects[0], user)
	j.arrived(user+" connects", c)
	return j.session
}

// status wants delegate_connect to tell how it stands with a user.
func (m *mydexRig) status(what, session, want string) {
	m.t.Helper()
	if got := m.do(http.MethodGet, connects[0]+"/status", "", session); strings.TrimSpace(got.body) != `{"status":"`+want+`"}` {
		m.t.Errorf("%s: status: %d %s; want %s", what, got.status, got.body, want)
	}
}
