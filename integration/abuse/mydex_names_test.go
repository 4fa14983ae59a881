// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// spellings are what PHP, or something before it, reads as the name of one of
// the member's parameters.
func spellings(name string) []string {
	escaped := func(i int) string { return name[:i] + "%" + hexOf(name[i]) + name[i+1:] }
	all := []string{
		name, strings.ToUpper(name), escaped(0), escaped(1), strings.ToLower(escaped(0)), strings.Replace(escaped(0), "%", "%25", 1),
		"+" + name, "++" + name, "%20" + name, "%09" + name, "%0a" + name, "%0d%0a" + name, "%00" + name, name + "%00", name + "%00x", name + "%00[x]",
		name + "[]", name + "[x]", name + "%5b%5d", name + "%5Bx%5D", name + "[0][1]", name + "[", name + "[x", name + "]", "[" + name + "]", name + "[" + strings.Repeat("x", 4000) + "]",
		name + "+", name + "%20", "x;" + name, "x=1;" + name, "x%26" + name, "x%3b" + name, name + "%", name + "%zz", name + "%ff",
	}
	if before, after, ok := strings.Cut(name, "_"); ok {
		for _, sign := range []string{".", "+", "%20", "%2e", "%2E", "%5f", "%5F", "-", "%255f"} {
			all = append(all, before+sign+after, "+"+before+sign+after, before+sign+after+"[]")
		}
		all = append(all, before+"["+after, before+"%5b"+after, "+"+before+"["+after)
	}
	return all
}

func hexOf(c byte) string {
	return strings.ToUpper(string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
}

// TestT54_MydexPHPNames protects the member's parameters from names that PHP
// folds into theirs. Judged is what PHP reads out of the query that arrived:
// alice's identity, and nothing of bob's under any name. The homemade site puts
// alice's identity first, refuses the plain names, and opens bob's data.
func TestT54_MydexPHPNames(t *testing.T) {
	text := mydexCaddyfile("", passingToMydex)
	m := startMydex(t, text)
	robin, wren := m.member(0), m.member(1)
	alice := m.connect("alice", robin)
	m.load(strings.Replace(text, passingToMydex, `
	route {
		@named query uid=* con_id=* key=* source_type=*
		respond @named 403
		rewrite * {path}?uid=`+robin.UID+`&con_id=`+robin.ConID+`&source_type=connection&key=`+robin.Key+`&{query}
		reverse_proxy [[.MydexURL]]
	}`, 1))
	bearer := m.bearer(alice)
	const rows = `{"ds_rows":[{"a":"1"}]}`
	const asJSON = "Content-Type: application/json"
	values := map[string]string{"uid": wren.UID, "con_id": wren.ConID, "key": wren.Key, "source_type": "connection"}
	opened, overridden := 0, 0
	for name, value := range values {
		for _, spelling := range spellings(name) {
			attack := spelling + "=" + value
			for other := range values {
				if other != name {
					attack += "&+" + strings.ReplaceAll(other, "_", ".") + "=" + values[other]
				}
			}
			for what, ask := range map[string]func() reply{
				"path": func() reply { return m.ask("GET", "/pdx"+datasetPath+"&"+attack, alice) },
				"first": func() reply {
					return m.ask("GET", "/as/api/pds/pds/me.json?"+attack+"&dataset=ds_personal_details", alice)
				},
				"query": func() reply {
					return m.do("POST", "/pdx/api/pds/transaction?dataset=ds_rows&"+attack, rows, alice, asJSON)
				},
				"a block": func() reply { return m.ask("GET", "/pdx"+eventsPath+"?"+attack, alice) },
			} {
				r := m.served(what+", "+spelling, robin, ask)
				read := mydex.ReadQuery(r.RawQuery)
				for _, known := range []string{"uid", "con_id", "key", "source_type", "dataset", "instance"} {
					delete(read, known)
				}
				if len(read) > 0 || strings.Contains(r.URI, wren.UID) || strings.Contains(r.URI, wren.Key) {
					t.Errorf("%s, %s: it arrived as %s", what, spelling, r.URI)
				}
			}
			before := m.last()
			m.askHome("POST", "/api/pds/transaction?dataset=ds_rows&"+attack, bearer, "Content-Length: 0")
			for _, r := range m.since(before, "pdx") {
				if r.UID == wren.UID {
					opened++
				} else if r.UID != robin.UID {
					overridden++
				}
			}
		}
	}
	if opened < 30 || overridden < 10 {
		t.Errorf("control: the homemade site opened bob's data by %d spellings, and lost alice's by %d", opened, overridden)
	}
}

// TestT54_MydexQueries protects the place of the member's parameters: many
// others before them, repeated or very long ones and odd separators neither
// push them out nor end the query early. What is not theirs stays as it is.
func TestT54_MydexQueries(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	for _, prefix := range proxies {
		for what, query := range map[string]string{
			"91":                  "&" + strings.Repeat("a&", 90),
			"1001":                "&" + strings.Repeat("a=1&", 1001),
			"91 at ;":             "&" + strings.Repeat("a;", 90),
			"empty ones":          strings.Repeat("&", 120),
			"1000 of one array":   "&" + strings.Repeat("a[]=1&", 1000),
			"repeated identities": strings.Repeat("&uid=1&key=2", 60),
		} {
			m.refused(what, http.StatusForbidden, "route_denied", func() reply { return m.ask("GET", prefix+datasetPath+query, alice) })
		}
		for what, query := range map[string]string{"a blank": "&a b", "a tab": "&a\tb", "NUL": "&a\x00b", "CR": "&a\rb", "DEL": "&a\x7fb", "LF": "&a\nb", "#": "&a#b"} {
			m.malformed(what, func() reply { return m.ask("GET", prefix+datasetPath+query, alice) })
		}
		for what, query := range map[string]string{
			"85":           strings.Repeat("&a=1", 85),
			"a long name":  "&" + strings.Repeat("a", 4000) + "=1",
			"a long value": "&memo=" + strings.Repeat("a", 4000),
			"its own":      "&filters[id][operator]=%3E%3D&filters[id][value]=7&memo=x%26uid%3D5",
			"UTF-8":        "&memo=%C3%BC&%C3%BC=1",
			"no value":     "&a&b=&=c&==",
			"bad escapes":  "&memo=%zz%u0031%",
		} {
			r := m.served(what, robin, func() reply { return m.ask("GET", prefix+datasetPath+query, alice) })
			if !strings.Contains(r.RawQuery, query) {
				t.Errorf("%s: %.200s", what, r.RawQuery)
			}
		}
	}
	r := m.reached("1001", func() reply { return m.askHome("GET", datasetPath+strings.Repeat("&a=1", 1001)+"&uid=5") })
	if mydex.ReadQuery(r.RawQuery)["uid"] != nil {
		t.Error("control: PHP reads what comes behind 1000 parameters")
	}
}

// TestT54_MydexForms protects the member's parameters from the fields of a
// form: PHP merges them with the query, and prefers them.
func TestT54_MydexForms(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin, wren := m.member(0), m.member(1)
	alice := m.connect("alice", robin)
	const event = `{"title":"t","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`
	json := func() reply {
		return m.do("POST", "/pdx/calendar/add-event", event, "Content-Type: application/json", alice)
	}
	m.served("JSON", robin, json) // and its token is there
	form := "uid=" + wren.UID + "&con_id=" + wren.ConID + "&key=" + wren.Key + "&title=t"
	for what, lines := range map[string][]string{
		"a form":             {"Content-Type: application/x-www-form-urlencoded"},
		"odd case":           {"cOnTeNt-TyPe: Application/X-WWW-Form-URLEncoded"},
		"with a charset":     {"Content-Type: application/x-www-form-urlencoded; charset=utf-8"},
		"with a comma":       {"Content-Type: application/x-www-form-urlencoded, application/json"},
		"behind a comma":     {"Content-Type: application/json, application/x-www-form-urlencoded"},
		"as a parameter":     {"Content-Type: application/json; x=application/x-www-form-urlencoded"},
		"a blank before":     {"Content-Type: \t application/x-www-form-urlencoded"},
		"multipart":          {"Content-Type: multipart/form-data; boundary=x"},
		"multipart, odd":     {"Content-Type: MultiPart/Mixed;boundary=x"},
		"JSON first":         {"Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"},
		"JSON second":        {"Content-Type: multipart/form-data; boundary=x", "Content-Type: application/json"},
		"folded":             {"Content-Type: application/json;\r\n application/x-www-form-urlencoded"},
		"behind a line feed": {"Content-Type: application/json\nContent-Type: application/x-www-form-urlencoded"},
	} {
		for _, prefix := range proxies {
			for _, path := range []string{"/calendar/add-event", "/api/pds/transaction?dataset=ds_rows", "/api/pds/pds/me.json?dataset=ds_rows"} {
				m.refused(what+", "+prefix+path, http.StatusForbidden, "route_denied", func() reply {
					return m.do("POST", prefix+path, form, append(slices.Clone(lines), alice)...)
				})
			}
		}
		if r := m.reached(what, func() reply {
			return m.send(http1("POST", "/calendar/add-event", m.authority(true), append(lines, fmt.Sprintf("Content-Length: %d", len(form)))...) + form)
		}); r.Body != form {
			t.Errorf("control, %s: %q", what, r.Body)
		}
	}
	for what, lines := range map[string][]string{
		"no type":      nil,
		"an alias":     {"Content-Type: application/json", "Content_Type: application/x-www-form-urlencoded"},
		"dotted alias": {"Content-Type: application/json", "Content.Type: multipart/form-data"},
	} {
		r := m.served(what, robin, func() reply { return m.do("POST", "/pdx/calendar/add-event", event, append(lines, alice)...) })
		if got := r.Header["Content-Type"]; !slices.Equal(got, []string{"application/json"}) {
			t.Errorf("%s: %q", what, got)
		}
		for name := range r.Header {
			if strings.ContainsAny(name, "_.") {
				t.Errorf("%s: %s crossed", what, name)
			}
		}
	}
}

// TestT38_MydexFormsCureNothing protects the issuer from somebody who has a
// route that refuses them tried anew: a form, which is refused before it is
// sent, says nothing about the route.
func TestT38_MydexFormsCureNothing(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	alice := m.connect("alice", m.member(0))
	closed := true
	m.intercept(func(w http.ResponseWriter, r *http.Request, mydex http.Handler) {
		if closed && r.URL.Path == "/calendar/add-event" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mydex.ServeHTTP(w, r)
	})
	post := func(kind, query string) reply {
		return m.do("POST", "/pdx/calendar/add-event"+query, `{"title":"t","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`, "Content-Type: "+kind, alice)
	}
	if got := post("application/json", ""); got.code() != "upstream_unauthorized" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	tokens := m.mydex.Counts().TokenRequests
	for range 5 {
		for _, got := range []reply{post("application/x-www-form-urlencoded", ""), post("application/json", "?"+strings.Repeat("a&", 90))} {
			if got.code() != "route_denied" {
				t.Errorf("%d %s", got.status, got.body)
			}
		}
		if got := post("application/json", ""); got.status != http.StatusBadGateway {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := m.mydex.Counts().TokenRequests; n != tokens {
		t.Errorf("%d tokens more for a route that refuses them", n-tokens)
	}
	// The control: what the route answers does say something.
	closed = false
	if got := post("application/json", ""); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	closed = true
	if got := post("application/json", ""); got.status != http.StatusBadGateway || m.mydex.Counts().TokenRequests != tokens+1 {
		t.Errorf("control: %d %s, %d tokens more", got.status, got.body, m.mydex.Counts().TokenRequests-tokens)
	}
}

// TestT54_MydexNamesOnTheCallback protects the callback from the same the other
// way round: a field counts under its very name alone.
func TestT54_MydexNamesOnTheCallback(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	j := m.startConnect(connects[0], "alice")
	word := j.callbackForm(robin)
	for name, spelled := range map[string][]string{
		"linking_token": {"linking.token", "linking+token", "linking%5Btoken", "+linking_token", "linking_token%5B%5D", "Linking_Token", "linking_token%00"},
		"uid":           {"+uid", "uid%5B%5D", "uid%00", "UID"},
		"connection_id": {"connection.id", "connection%5Bid", "connection-id"},
	} {
		for _, other := range spelled {
			j.wantNoEffect(other, func() {
				got := m.postCallback(strings.Replace("&"+word, "&"+name+"=", "&"+other+"=", 1)[1:])
				if got.status != http.StatusBadRequest {
					t.Errorf("%s: %d", other, got.status)
				}
			})
		}
	}
	j.wantConnected("alice", robin)
}
