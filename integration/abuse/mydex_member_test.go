// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// everything allows all routes, so that the policy refuses nothing that the
// provider has to.
func everything(text string) string {
	return strings.ReplaceAll(text, "allow POST /api/pds/transaction mydex:pdx", "allow GET,POST /** mydex:pdx get:/calendar/get-events post:/calendar/add-event")
}

// TestT25_MydexSomebodyElses protects against the commonest hole of health APIs
// (insecure direct object references): the caller says whose data they want.
// Here alice says bob's, whose identity she knows to the last letter, and gets
// her own or nothing. The homemade site, with alice's bearer, opens bob's.
func TestT25_MydexSomebodyElses(t *testing.T) {
	m := startMydex(t, everything(mydexCaddyfile("", passingToMydex)))
	robin, wren := m.member(0), m.member(1)
	alice := m.connect("alice", robin)
	m.connect("bob", wren)
	bobs := "uid=" + wren.UID + "&con_id=" + wren.ConID + "&key=" + wren.Key + "&source_type=connection&connection_token=" + wren.Key + "&api_key=x"
	asJSON := `{"uid":"` + wren.UID + `","con_id":"` + wren.ConID + `","key":"` + wren.Key + `","source_type":"connection","Connection-Token":"` + wren.Key + `",`
	before := m.last()
	for _, prefix := range proxies {
		for what, ask := range map[string]func() reply{
			"query, dataset": func() reply { return m.ask("GET", prefix+datasetPath+"&"+bobs, alice) },
			"query first": func() reply {
				return m.ask("GET", prefix+"/api/pds/pds/me.json?"+bobs+"&dataset=ds_personal_details", alice)
			},
			"query, block":    func() reply { return m.ask("GET", prefix+eventsPath+"?"+bobs, alice) },
			"header, dataset": func() reply { return m.ask("GET", prefix+datasetPath, alice, "Connection-Token: "+wren.Key) },
			"header, block": func() reply {
				return m.ask("GET", prefix+eventsPath, alice, "Connection-Token: "+wren.Key, "connection_token: "+wren.Key, "CONNECTION-TOKEN: "+wren.Key, "Uid: "+wren.UID, "X-Uid: "+wren.UID)
			},
			"cookie": func() reply {
				return m.ask("GET", prefix+eventsPath, alice+"; "+strings.ReplaceAll(bobs, "&", "; "))
			},
			"JSON": func() reply {
				return m.do("POST", prefix+"/calendar/add-event", asJSON+`"title":"t","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`, alice, "Content-Type: application/json")
			},
		} {
			if r := m.served(prefix+", "+what, robin, ask); strings.Contains(r.URI, wren.UID) || r.Header.Get("Cookie") != "" || r.Header.Get("Uid")+r.Header.Get("X-Uid") != "" {
				t.Errorf("%s, %s: Mydex received %s %v", prefix, what, r.URI, r.Header)
			}
		}
		for _, path := range []string{
			"/api/pds/pds/" + wren.UID + ".json?dataset=ds_personal_details&" + bobs, "/api/pds/pds/" + wren.UID, "/api/pds/pds/" + wren.ConID + ".json", "/api/pds/transaction/" + wren.UID + ".json",
			"/api/pds/pds/me.json/" + wren.UID, "/api/pds/pds/" + wren.UID + "/me.json", "/api/pds/pds/ME.json", "/api/pds/pds/you.json", "/api/pds/pds/me.jsonp", "/API/PDS/PDS/" + wren.UID + ".json",
			"/calendar/get-events.jsonp", "/timeline.JSONP", "/calendar/" + wren.UID, "/calendar/get-events/" + wren.ConID, "/timeline/" + wren.UID + ".json", "/api/pds", "/api/connection", "/access-token/" + mydexNID, "/identify", "/ftc/setup", "/members/" + wren.UID,
		} {
			m.refused(prefix+path, http.StatusForbidden, "route_denied", func() reply { return m.ask("GET", prefix+path, alice) })
		}
		for _, path := range []string{
			"/api/pds/pds/me.json/../" + wren.UID + ".json", "/api/pds/pds/me.json%2f..%2f" + wren.UID + ".json", "/api/pds/pds/%34%30%32%31.json", "/api/pds/pds//" + wren.UID + ".json",
			"/api/pds/pds/" + wren.UID + ".json%00me.json", "/api/pds/pds/" + wren.UID + ".json;/me.json", "/api/pds/pds/me.json%3fuid=" + wren.UID, "/api/pds/pds/" + wren.UID + ".json%23/me.json", "/api/pds/pds/\\" + wren.UID + ".json",
		} {
			m.malformed(prefix+path, func() reply { return m.ask("GET", prefix+path, alice) })
		}
	}
	for _, r := range m.since(before, "pdx") {
		if r.UID != robin.UID {
			t.Errorf("%s %s opened %q", r.Method, r.URI, r.UID)
		}
	}
	bearer := m.bearer(alice)
	r := m.reached("path and query", func() reply {
		return m.askHome("GET", "/api/pds/pds/"+wren.UID+".json?dataset=ds_personal_details&"+bobs, bearer)
	})
	if r.UID != wren.UID {
		t.Errorf("control: a dataset of %q", r.UID)
	}
	if r := m.reached("header", func() reply { return m.askHome("GET", eventsPath+"?"+bobs, bearer, "Connection-Token: "+wren.Key) }); r.UID != wren.UID {
		t.Errorf("control: a block of %q", r.UID)
	}
}

// TestT25_MydexSomebodyElsesFlow protects a consent flow from a callback of Mydex
// about another member: whose it was first, it stays, and what was connected by
// it is not exchanged.
func TestT25_MydexSomebodyElsesFlow(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin, wren := m.member(0), m.member(1)
	j := m.startConnect(connects[0], "alice")
	other := func(what string) {
		for name, body := range map[string]string{
			"another member":                 j.callbackForm(wren),
			"another member with her uid":    j.callbackForm(mydex.Connection{UID: robin.UID, ConID: robin.ConID, MydexID: wren.MydexID, Key: wren.Key}),
			"her key for another connection": j.callbackForm(robin, "uid", wren.UID, "connection_id", wren.ConID),
			"a connection of two members":    j.callbackForm(robin, "connection_id", wren.ConID),
		} {
			m.untouched(what+", "+name, func() {
				if got := m.postCallback(body); got.status != http.StatusBadRequest {
					t.Errorf("%s, %s: %d", what, name, got.status)
				}
			})
		}
	}
	if got := m.postCallback(j.callbackForm(robin)); got.status != http.StatusNoContent {
		t.Fatalf("%d", got.status)
	}
	other("before she is back")
	j.wantConnected("alice", robin)
	other("after")
	m.served("alice is still herself", robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", j.session) })
	m.status("alice", j.session, "connected")
	// The link of a consent flow is nobody else's way in: bob's own is as it was.
	b := m.startConnect(connects[0], "bob")
	b.wantNoEffect("bob", func() { m.postCallback(j.callbackForm(wren)) })
	b.wantConnected("bob", wren)
}

// TestT25_MydexForgetsOneself protects members from somebody who says whom
// delegate_connect is to forget, to begin for, or to tell of.
func TestT25_MydexForgetsOneself(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice, mallory := m.connect("alice", robin), m.rig.cookie("mallory")
	forged := []string{"Remote-User: alice", "X-Forwarded-User: alice", "X-Participant-Id: " + robin.UID, "Connection-Token: " + robin.Key, "Content-Type: application/x-www-form-urlencoded"}
	alices := "subject=alice&user=alice&sub=alice&realm=default&uid=" + robin.UID + "&con_id=" + robin.ConID + "&mydexid=" + robin.MydexID
	for _, at := range connects {
		for what, path := range map[string]string{"forget": "/?" + alices, "more": "/x/../?" + alices, "encoded": "/%3f" + alices, "alice": "/alice?" + alices, "her uid": "/" + robin.UID} {
			m.untouched(what, func() { m.do("DELETE", at+path, alices, append(forged, mallory)...) })
			m.status(what, alice, "connected")
		}
		if got := m.do("GET", at+"/status?"+alices, "", append(forged, mallory)...); strings.TrimSpace(got.body) != `{"status":"none"}` {
			t.Errorf("%s: mallory is told %d %s", at, got.status, got.body)
		}
		m.refused(at, http.StatusForbidden, "consent_required", func() reply { return m.do("POST", at+"/update?"+alices, alices, append(forged, mallory)...) })
		before := m.last()
		got := m.do("POST", at+"/start?"+alices, `{"subject":"alice","mydexid":"`+robin.MydexID+`"}`, "Content-Type: application/json", mallory)
		if asked := m.since(before, "setup"); got.status != http.StatusOK || len(asked) != 1 || strings.Contains(asked[0].Body, robin.MydexID) {
			t.Errorf("%s: %d %s: %v", at, got.status, got.body, asked)
		}
	}
	m.served("alice", robin, func() reply { return m.do("GET", "/pdx"+datasetPath, "", alice) })
	// The control: who is meant is whoever is signed in.
	if got := m.do("DELETE", connects[0]+"/", "", alice); got.status != http.StatusNoContent {
		t.Errorf("%d %s", got.status, got.body)
	}
	m.status("alice", alice, "none")
	m.refused("alice", http.StatusForbidden, "consent_required", func() reply { return m.do("GET", "/pdx"+datasetPath, "", alice) })
}

// TestT20_MydexWaysAroundTheSignIn protects delegate_connect from paths that
// the authenticator's matcher takes for the callback, which it leaves alone,
// and delegate_connect for something else: nobody is signed in there, whatever
// headers and cookies say.
func TestT20_MydexWaysAroundTheSignIn(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", `
	@closed not path /callback/* /ftc/*
	respond @closed 401
	uri path_regexp ^/callback/\.\. ""
	reverse_proxy [[.MydexURL]]`))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	forged := []string{"Remote-User: alice", "X-Forwarded-User: alice", "X-Forwarded-Uri: /callback/x", "X-Original-Url: /callback/x"}
	for _, at := range connects {
		for _, path := range []string{
			"/callback/../%s", "/callback/..%%2f%s", "/callback/%%2e%%2e/%s", "/callback/x/../../%s", "/CALLBACK/../%s", "//callback/../%s", "/./callback/../%s", "/x/../callback/../%s", "/callback//../../%s", "/callback/..;/%s", "/callback/..\\%s",
			"/Callback/%s", "/callback/%s", "/callback%%2f%s", "/%s/../callback/x", "/%s/..%%2fcallback/x", "/%s%%2f..%%2fcallback/x", "/%s;/callback/x", "/%s?/callback/x", "/%s%%3f/callback/x", "/%s%%00/callback/x", "/%s#/callback/x",
		} {
			for method, end := range map[string]string{"POST": "start", "GET": "status", "DELETE": ""} {
				target := at + fmt.Sprintf(path, end)
				m.untouched(method+" "+target, func() {
					got := m.do(method, target, "", forged...)
					nowhere := got.status == http.StatusOK && got.body == "" && got.header.Get("Cache-Control") == "" // no directive is there
					if got.status/100 != 4 && !nowhere || len(got.header["Set-Cookie"]) > 0 {
						t.Errorf("%s %s: %d %s", method, target, got.status, got.body)
					}
				})
			}
			target := at + fmt.Sprintf(path, "return") + "?state=x"
			m.untouched(target, func() {
				if got := m.do("GET", target, "", forged...); strings.HasSuffix(got.header.Get("Location"), "=connected") {
					t.Errorf("%s: %d to %q", target, got.status, got.header.Get("Location"))
				}
			})
		}
	}
	m.status("alice", alice, "connected")
	if r := m.reached("two dots", func() reply { return m.askHome("POST", "/callback/../ftc/setup", "Content-Length: 0") }); r.Area != "setup" {
		t.Errorf("control: %s", r.URI)
	}
}
