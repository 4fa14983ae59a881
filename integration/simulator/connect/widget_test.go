// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	flowField   = regexp.MustCompile(`name="flow" value="([^"]+)"`)
	messageData = regexp.MustCompile(`data-message="([^"]*)" data-origin="([^"]*)"`)
)

// visit is one opening of the widget, as a browser sees it.
type visit struct {
	*platform
	flow string
	page response
}

func (p *platform) visit(query ...string) *visit {
	p.t.Helper()
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	v := &visit{platform: p, page: p.do("GET", "/connect?"+q.Encode(), "")}
	if m := flowField.FindStringSubmatch(v.page.body); m != nil {
		v.flow = m[1]
	}
	return v
}

// framed is a visit that the script of an allowed page has begun.
func (p *platform) framed(more ...string) *visit {
	p.t.Helper()
	return p.visit(append([]string{"clientId", clientID, "clientUserId", "user-1", "origin", "https://app.example.org"}, more...)...)
}

func (v *visit) press(action string, fields ...string) response {
	v.t.Helper()
	form := url.Values{"flow": {v.flow}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	v.page = v.do("POST", "/connect/"+action, form.Encode(), asForm)
	return v.page
}

// told is what a last page tells the page that opened the widget, and its origin.
func told(t *testing.T, r response) (event string, result any, origin string) {
	t.Helper()
	m := messageData.FindStringSubmatch(r.body)
	if m == nil {
		t.Fatalf("no last page: %d %s", r.StatusCode, r.body)
	}
	var message struct {
		Widget, Event string
		Result        any
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &message); err != nil || message.Widget != "connect" {
		t.Fatalf("%v: %s", err, m[1])
	}
	return message.Event, message.Result, html.UnescapeString(m[2])
}

// A person chooses their account, connects a source and finishes; coming back,
// they are known. Without a source, they cannot finish.
func TestWidget(t *testing.T) {
	p := newPlatform(t)
	v := p.framed()
	wantStatus(t, v.page, 200)
	if !strings.Contains(v.page.body, "uc-ben") || !strings.Contains(v.page.Header.Get("Content-Security-Policy"), "frame-ancestors https://app.example.org") {
		t.Errorf("%v %s", v.page.Header, v.page.body)
	}
	wantStatus(t, v.press("account", "account", "nobody"), 400)
	wantStatus(t, v.press("source", "source", "city_lab", "connect", "yes"), 400) // whose?
	if r := v.press("account", "account", "uc-ben"); !strings.Contains(r.body, "Finish connecting data") || !strings.Contains(r.body, " disabled>") {
		t.Errorf("sources: %s", r.body)
	}
	wantStatus(t, v.press("finish"), 400)
	if r := v.press("source", "source", "city_lab", "connect", "yes"); strings.Contains(r.body, " disabled>") {
		t.Errorf("connected: %s", r.body)
	}
	v.press("source", "source", "steady_scale", "connect", "yes")
	v.press("source", "source", "steady_scale", "connect", "no")
	v.press("source", "source", "made_up", "connect", "yes")
	event, result, origin := told(t, v.press("finish"))
	object, _ := result.(map[string]any)
	if event != "finish" || len(object) != 1 || origin != "https://app.example.org" {
		t.Errorf("%s %v to %s", event, result, origin)
	}
	wantStatus(t, v.press("finish"), 400)

	r := p.exchange(object["specialToken"].(string))
	wantFields(t, r, map[string]any{"UserCode": "uc-ben", "clientUserId": "user-1"})
	if n := p.Connections(); len(n) != 1 || strings.Join(n[0].Sources, " ") != "city_lab" {
		t.Errorf("connections %+v", n)
	}
	public := r.json["publicToken"].(string)
	if back := p.framed("publicToken", public); !strings.Contains(back.page.body, `<strong id="account">Ben</strong>`) {
		t.Errorf("coming back: %s", back.page.body)
	}
	// Somebody else who has found it, and a public token that was replaced.
	for name, query := range map[string][]string{
		"another person":  {"publicToken", public, "clientUserId", "user-2"},
		"another client":  {"publicToken", public, "clientId", otherID, "origin", "http://localhost:1"},
		"made-up":         {"publicToken", "x"},
		"page outdated":   {"publicToken", "pt-x"},
		"no person":       {"clientUserId", ""},
		"another origin":  {"origin", "https://evil.example"},
		"any origin":      {"origin", "*"},
		"unknown client":  {"clientId", "x"},
		"evil finish URL": {"origin", "", "finishUrl", "https://evil.example/"},
	} {
		v := p.framed(query...)
		wantStatus(t, v.page, 400)
		event, _, origin := told(t, v.page)
		if event != "error" || origin == "https://evil.example" || origin == "*" || v.flow != "" {
			t.Errorf("%s: %s to %q", name, event, origin)
		}
	}
	v = p.framed()
	if event, result, _ := told(t, v.press("close")); event != "close" || result != nil {
		t.Errorf("%s %v", event, result)
	}
	wantStatus(t, v.press("account", "account", "uc-ada"), 400)
	if n := p.Counts(); n.Finished != 1 || n.Closed != 1 {
		t.Errorf("counts %+v", n)
	}
}

// The page of its own, as the vendor's SDKs for phones open it.
func TestWidgetAsPage(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.Preset = HumanConnectV1 })
	open := []string{"clientId", clientID, "clientUserId", "user-1", "finishUrl", "https://connect-token", "closeUrl", "https://connect-closed"}
	v := p.visit(open...)
	if !strings.Contains(v.page.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error("it can be framed")
	}
	v.press("account", "account", "uc-ada")
	v.press("source", "source", "pulse_band", "connect", "yes")
	wantStatus(t, v.press("finish"), 303)
	to, err := url.Parse(v.page.Header.Get("Location"))
	if err != nil || to.Host != "connect-token" || to.Query().Get("humanId") != "uc-ada" || to.Query().Get("sessionToken") == "" || to.Query().Get("clientId") != clientID {
		t.Errorf("it leads to %s", to)
	}
	v = p.visit(open...)
	wantStatus(t, v.press("close"), 303)
	if to := v.page.Header.Get("Location"); to != "https://connect-closed" {
		t.Errorf("closed: %s", to)
	}
	p.Set(func(s *Settings) { s.Preset, s.PlainToken = DeveloperConsole, true })
	v = p.visit("clientId", clientID, "clientUserId", "user-1", "finishUrl", "myapp://done")
	v.press("account", "account", "uc-ada")
	wantStatus(t, v.press("finish"), 303)
	if to := v.page.Header.Get("Location"); !strings.HasPrefix(to, "myapp://done?specialToken=st-") {
		t.Errorf("it leads to %s", to)
	}
	// Pages of an allowed origin need not be registered one by one.
	wantStatus(t, p.visit("clientId", otherID, "clientUserId", "u", "finishUrl", "http://localhost:8400/done?x=1").page, 200)
	wantStatus(t, p.visit("clientId", otherID, "clientUserId", "u", "finishUrl", "http://localhost@evil.example/").page, 400)
}

// The script has the global that pages of the preset call.
func TestScript(t *testing.T) {
	p := newPlatform(t)
	for preset, global := range map[string]string{DeveloperConsole: "window.Connect =", HumanConnectV1: "window.HumanConnect ="} {
		p.Set(func(s *Settings) { s.Preset = preset })
		r := p.do("GET", "/connect.js", "")
		if !strings.Contains(r.body, global) || strings.Contains(r.body, "GLOBAL") || r.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s: %v %s", preset, r.Header, r.body)
		}
	}
	for _, path := range []string{"/connect/widget.js", "/connect/style.css"} {
		wantStatus(t, p.do("GET", path, ""), 200)
	}
	wantStatus(t, p.do("GET", "/connect/account.html", ""), 404)
	wantStatus(t, p.do("POST", "/connect", ""), 405)
	wantStatus(t, p.do("GET", "/connect/finish", ""), 405)
}

// The console's buttons do what they say.
func TestConsole(t *testing.T) {
	p := newPlatform(t)
	press := func(action, form string, status int) {
		t.Helper()
		wantStatus(t, p.do("POST", "/console/"+action, form, asForm), status)
	}
	shows := func(text string, is bool) {
		t.Helper()
		r := p.do("GET", "/", "")
		wantStatus(t, r, 200)
		if strings.Contains(r.body, text) != is {
			t.Errorf("the console shows %q: %v\n%s", text, !is, r.body)
		}
	}
	shows(secret, true)
	press("register", "name=Three&origins=https://a.example+https://b.example", 303)
	shows("https://a.example https://b.example", true)
	press("register", "name=Four&origins=a.example", 400)
	press("secret", "clientId="+clientID, 303)
	shows(secret, false)
	press("secret", "clientId=x", 400)
	press("remove", "clientId="+otherID, 303)
	shows("app-two", false)
	press("modes", "mode=echo_none&mode=reusable", 303)
	shows(`value="reusable" checked`, true)
	if s := p.Settings(); s.Echo != "none" || !s.Reusable {
		t.Errorf("settings %+v", s)
	}
	press("modes", "mode=x", 400)
	press("modes", "", 303)
	shows(" checked", false)
	p.token("user-1", ada)
	shows("uc-ada", true)
	press("revoke", "clientId="+clientID+"&userCode=uc-ada", 303)
	p.exchange("st-x")
	shows("client_rejected", true)
	press("nothing", "", 404)
	wantStatus(t, p.do("GET", "/console/modes", ""), 405)
	wantStatus(t, p.do("POST", "/console/modes", "mode=500", asForm, "Origin: https://evil.example"), 403)
	wantStatus(t, p.do("GET", "/console", ""), 404)
}
