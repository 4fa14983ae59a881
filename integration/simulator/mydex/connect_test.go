// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const returnTo = "https://app.example.org/back?state=a%2Fb&x=[1]#frag"

// setupBody is a good request for a link; what is changed to nil is left out.
func setupBody(changes map[string]any) string {
	body := map[string]any{"connection_nid": nid, "connection_token_hash": Hash(token), "return_to": returnTo, "linking_token": "opaque+1&é"}
	maps.Copy(body, changes)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	b, _ := json.Marshal(body)
	return string(b)
}

func (p *platform) link(changes map[string]any) string {
	p.t.Helper()
	r := p.do("POST", p.identity+"/ftc/setup", setupBody(changes), p.bearer())
	wantStatus(p.t, r, http.StatusCreated)
	return r.json["url"].(string)
}

var flowField = regexp.MustCompile(`name="journey" value="([^"]+)"`)

// signIn opens a link and signs in; it returns where the browser is sent.
func (p *platform) signIn(link string, m Member) response {
	p.t.Helper()
	r := p.do("GET", link, "")
	wantStatus(p.t, r, http.StatusOK)
	id := html.UnescapeString(flowField.FindStringSubmatch(r.body)[1])
	return p.do("POST", p.identity+"/ftc/sign-in", url.Values{"journey": {id}, "member": {m.UID}}.Encode(), formEncoded)
}

// decide goes all the way; decision is agree or decline.
func (p *platform) decide(link string, m Member, decision string) response {
	p.t.Helper()
	r := p.signIn(link, m)
	wantStatus(p.t, r, http.StatusSeeOther)
	r = p.do("GET", p.identity+r.Header.Get("Location"), "")
	wantStatus(p.t, r, http.StatusOK)
	id := html.UnescapeString(flowField.FindStringSubmatch(r.body)[1])
	return p.do("POST", p.identity+"/ftc/agreement", url.Values{"journey": {id}, "decision": {decision}}.Encode(), formEncoded)
}

func (p *platform) agree(link string, m Member) {
	p.t.Helper()
	r := p.decide(link, m, "agree")
	if wantStatus(p.t, r, http.StatusSeeOther); r.Header.Get("Location") != returnTo {
		p.t.Errorf("sent back to %q", r.Header.Get("Location"))
	}
}

// The link is of the documented form, and the picture one that phones read as it.
func TestSetup(t *testing.T) {
	p := newPlatform(t)
	r := p.do("POST", p.identity+"/ftc/setup", setupBody(nil), p.bearer())
	wantStatus(t, r, http.StatusCreated)
	link := regexp.MustCompile(`^` + regexp.QuoteMeta(p.identity) + `/ftc/begin/45678/[A-Za-z0-9_-]{32}/1$`)
	if !link.MatchString(r.json["url"].(string)) || len(r.json) != 2 {
		t.Errorf("answer %s", r.body)
	}
	if got := scan(t, r.json["qr"].(string)); got != r.json["url"] {
		t.Errorf("the QR code says %q, the link is %q", got, r.json["url"])
	}
	p.SetLoginURL("https://login.example.org/")
	if got := p.link(map[string]any{"version": 2, "mydexid": "Robin101"}); !strings.HasPrefix(got, "https://login.example.org/ftc/begin/45678/") || !strings.HasSuffix(got, "/2") {
		t.Errorf("link %s", got)
	}
	if c := p.Counts(); c.Setups != 2 {
		t.Errorf("counts %+v", c)
	}
}

func TestSetupIsJudged(t *testing.T) {
	p := newPlatform(t)
	bearer := p.bearer()
	for name, tt := range map[string]struct {
		body   string
		bearer string
		status int
	}{
		"nulls":                {setupBody(map[string]any{"mydexid": json.RawMessage("null"), "version": json.RawMessage("null"), "linking_token": json.RawMessage("null")}), bearer, 201},
		"known member":         {setupBody(map[string]any{"mydexid": "Robin101"}), bearer, 201},
		"update":               {setupBody(map[string]any{"mydexid": "Robin101", "version": 2}), bearer, 201},
		"update without whom":  {setupBody(map[string]any{"version": 2}), bearer, 400},
		"unknown member":       {setupBody(map[string]any{"mydexid": "Nobody"}), bearer, 400},
		"version is 0":         {setupBody(map[string]any{"version": 0}), bearer, 400},
		"version is text":      {setupBody(map[string]any{"version": "1"}), bearer, 400},
		"another connection":   {setupBody(map[string]any{"connection_nid": "45679"}), bearer, 400},
		"nid is a number":      {setupBody(map[string]any{"connection_nid": 45678}), bearer, 400},
		"no nid":               {setupBody(map[string]any{"connection_nid": nil}), bearer, 400},
		"token, not its hash":  {setupBody(map[string]any{"connection_token_hash": token}), bearer, 400},
		"hash in capitals":     {setupBody(map[string]any{"connection_token_hash": strings.ToUpper(Hash(token))}), bearer, 400},
		"no return_to":         {setupBody(map[string]any{"return_to": nil}), bearer, 400},
		"return_to is a path":  {setupBody(map[string]any{"return_to": "/back"}), bearer, 400},
		"return_to is script":  {setupBody(map[string]any{"return_to": "javascript://x/%0aalert(1)"}), bearer, 400},
		"no JSON":              {"connection_nid=45678", bearer, 400},
		"no bearer":            {setupBody(nil), "X: y", 401},
		"bad bearer":           {setupBody(nil), "Authorization: Bearer x", 401},
		"bearer without scope": {setupBody(nil), p.bearer("get:/calendar/get-events"), 401},
	} {
		r := p.do("POST", p.identity+"/ftc/setup", tt.body, tt.bearer)
		if r.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, r.StatusCode, tt.status, r.body)
		}
		if tt.status == 400 && (r.json["success"] != 0.0 || r.json["message"] == "") || tt.status == 401 && r.json["error"] == nil {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	wantStatus(t, p.do("GET", p.identity+"/ftc/setup", ""), http.StatusMethodNotAllowed)
	wantStatus(t, p.do("GET", p.identity+"/timeline", ""), http.StatusNotFound)
}

// The whole way, and that what came back opens the member's data.
func TestFirstTimeConnection(t *testing.T) {
	p := newPlatform(t)
	link := p.link(nil)
	if r := p.do("HEAD", link, ""); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", r.StatusCode) // and it does not use the link up
	}
	p.agree(link, robin)
	c, ok := p.Connection(robin.UID)
	if !ok || !regexp.MustCompile(`^[A-Za-z0-9]{32}$`).MatchString(c.Key) || c.ConID != "4020-45678" || c.Version != 1 {
		t.Fatalf("connection %+v", c)
	}
	calls := p.subscriber.received()
	if len(calls) != 1 {
		t.Fatalf("%d callbacks", len(calls))
	}
	got := calls[0]
	if got.method != "POST" || got.header.Get("Authentication") != Hash(token) || got.header.Get("Authorization") != "" ||
		got.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("callback %s %v", got.method, got.header)
	}
	want := "uid=4020&mydexid=Robin101&key=" + c.Key + "&connection_id=4020-45678&linking_token=opaque%2B1%26%C3%A9" +
		"&fields%5Bds_personal_details%5D%5B0%5D%5B%5D%5Baccess%5D%5Br%5D%5Ba%5D=1&fields%5Bds_personal_details%5D%5B0%5D%5B%5D%5Baccess%5D%5Br%5D%5Bs%5D=A"
	if !strings.HasPrefix(got.body, want) || strings.ContainsAny(got.body, "[]") {
		t.Errorf("body  %s\nwant %s…", got.body, want)
	}
	d := p.Deliveries()
	if len(d) != 1 || d[0].Status != 200 || d[0].Kind != "connect" || d[0].UID != "4020" || d[0].Body != got.body || d[0].Error != "" {
		t.Errorf("deliveries %+v", d)
	}
	wantStatus(t, p.do("GET", p.datasetURL(c), "", p.bearer()), 200)
	if n := p.Counts(); n.Agreements != 1 || n.Deliveries != 1 || n.Declines != 0 {
		t.Errorf("counts %+v", n)
	}

	// Without a linking token, none comes back.
	p.agree(p.link(map[string]any{"linking_token": nil}), wren)
	if last := p.subscriber.received()[1].body; strings.Contains(last, "linking_token") {
		t.Errorf("body %s", last)
	}
}

// A first connection of somebody connected makes a new key, or keeps it if the
// settings say so; an update always keeps it and comes by PUT.
func TestUpdateKeepsTheKey(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	key := func() string { c, _ := p.Connection(robin.UID); return c.Key }
	p.agree(p.link(map[string]any{"mydexid": "Robin101", "version": 3}), robin)
	if got := p.subscriber.received()[0]; got.method != "PUT" || !strings.Contains(got.body, "key="+c.Key+"&") || key() != c.Key || p.Deliveries()[0].Kind != "update" {
		t.Errorf("callback %s %s", got.method, got.body)
	}
	if c, _ := p.Connection(robin.UID); c.Version != 3 {
		t.Errorf("version %d", c.Version)
	}
	p.Set(func(s *Settings) { s.KeepKey = true })
	p.agree(p.link(nil), robin)
	if key() != c.Key {
		t.Error("the key is another")
	}
	p.Set(func(s *Settings) { s.KeepKey = false })
	p.agree(p.link(nil), robin)
	if key() == c.Key || !strings.Contains(p.subscriber.received()[2].body, "key="+key()+"&") {
		t.Error("the key is the old one")
	}
}

func TestDecline(t *testing.T) {
	p := newPlatform(t)
	r := p.decide(p.link(nil), robin, "decline")
	if wantStatus(t, r, http.StatusSeeOther); r.Header.Get("Location") != returnTo {
		t.Errorf("sent back to %q", r.Header.Get("Location"))
	}
	if _, ok := p.Connection(robin.UID); ok || len(p.Deliveries()) != 0 || p.Counts().Declines != 1 {
		t.Error("declined, and yet something came of it")
	}
}

// A link, a page and a decision are good once each, and only where they belong.
func TestLinksAreUsedOnce(t *testing.T) {
	p := newPlatform(t)
	link := p.link(nil)
	for _, other := range []string{
		strings.Replace(link, "45678", "45679", 1), strings.TrimSuffix(link, "1") + "2", strings.Replace(link, "/ftc/begin/", "/identify/", 1),
		p.identity + "/ftc/begin/45678/x/1",
	} {
		if r := p.do("GET", other, ""); r.StatusCode == http.StatusOK {
			t.Errorf("%s opened", other)
		}
	}
	signedIn := p.signIn(link, robin).Header.Get("Location")
	wantStatus(t, p.do("GET", link, ""), http.StatusGone)
	form := url.Values{"journey": {strings.TrimPrefix(signedIn, "/ftc/agreement/")}}
	post := func(path string, change url.Values) int {
		f := maps.Clone(form)
		maps.Copy(f, change)
		return p.do("POST", p.identity+path, f.Encode(), formEncoded).StatusCode
	}
	for name, got := range map[string]int{
		"neither":    post("/ftc/agreement", nil),
		"no journey": post("/ftc/agreement", url.Values{"journey": {""}, "decision": {"agree"}}),
		"no member":  post("/ftc/sign-in", url.Values{"member": {"1"}}),
	} {
		if got < 400 {
			t.Errorf("%s: status %d", name, got)
		}
	}
	if got := post("/ftc/agreement", url.Values{"decision": {"agree"}}); got != http.StatusSeeOther {
		t.Fatalf("status %d", got)
	}
	for _, path := range []string{"/ftc/agreement", "/ftc/sign-in"} {
		if got := post(path, url.Values{"decision": {"agree"}, "member": {"4021"}}); got != http.StatusForbidden {
			t.Errorf("%s again: status %d", path, got)
		}
	}
	if n := len(p.subscriber.received()); n != 1 {
		t.Errorf("%d callbacks", n)
	}

	// Nobody can agree before they have said who they are.
	r := p.do("GET", p.link(nil), "")
	form.Set("journey", flowField.FindStringSubmatch(r.body)[1])
	if got := post("/ftc/agreement", url.Values{"decision": {"agree"}}); got != http.StatusForbidden {
		t.Errorf("without signing in: %d", got)
	}

	late := p.link(nil)
	p.pass(300 * time.Second)
	wantStatus(t, p.do("GET", late, ""), http.StatusGone)
	p.Set(func(s *Settings) { s.LinkLifetime, s.ReopenLinks = 0, true })
	wantStatus(t, p.do("GET", late, ""), http.StatusOK)
	p.agree(late, robin)
	wantStatus(t, p.do("GET", late, ""), http.StatusGone)
}

// A link for one MydexID, passed on to somebody else, is how an account gets
// tied to the wrong person.
func TestLinkForOneMember(t *testing.T) {
	p := newPlatform(t)
	named := map[string]any{"mydexid": "Robin101"}
	wantStatus(t, p.signIn(p.link(named), wren), http.StatusForbidden)
	p.Set(func(s *Settings) { s.AnyMember = true })
	p.agree(p.link(named), wren)
	if _, ok := p.Connection(wren.UID); !ok {
		t.Error("not connected")
	}
}

// Browser tests rely on these names.
func TestPages(t *testing.T) {
	p := newPlatform(t)
	link := p.link(map[string]any{"mydexid": "Wren102"})
	r := p.do("GET", link, "")
	for _, want := range []string{`<label for="member">MydexID</label>`, `<option value="4020">Robin101</option>`, `<option value="4021" selected>Wren102</option>`, `id="sign-in" type="submit">Sign in<`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s in %s", want, r.body)
		}
	}
	id := flowField.FindStringSubmatch(r.body)[1]
	p.do("POST", p.identity+"/ftc/sign-in", url.Values{"journey": {id}, "member": {"4021"}}.Encode(), formEncoded)
	r = p.do("GET", p.identity+"/ftc/agreement/"+id, "")
	for _, want := range []string{`<strong id="mydexid">Wren102</strong>`, `<li>ds_referrals</li>`, `id="agree" type="submit" name="decision" value="agree">Agree<`, `id="decline" type="submit" name="decision" value="decline">Decline<`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s in %s", want, r.body)
		}
	}
	if got := r.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Error(got)
	}
	p.AddMember(Member{UID: "5000", MydexID: `<script>`})
	if r := p.do("GET", p.link(nil), ""); strings.Contains(r.body, "<script>") {
		t.Error("a name is not escaped")
	}
}
