// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	blockPath  = "/calendar/get-events"
	blockScope = "get:/calendar/get-events"
)

// datasetURL is a good address of style A.
func (p *platform) datasetURL(c Connection) string {
	return p.pdx + "/api/pds/pds/" + c.UID + ".json?source_type=connection&con_id=" + c.ConID + "&key=" + c.Key + "&dataset=ds_personal_details&instance=0"
}

// blockURL is a good address of style B.
func (p *platform) blockURL(c Connection) string {
	return p.pdx + blockPath + "?uid=" + c.UID + "&con_id=" + c.ConID
}

func keyHeader(c Connection) string { return "Connection-Token: " + c.Key }

// Only a live token with all its scopes opens anything, and the platform does
// not say what was wrong with another.
func TestBearerIsJudged(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	pdx, both := p.bearer(), p.bearer(ScopePDX, blockScope)
	for name, tt := range map[string]struct {
		bearer         []string
		dataset, block int
	}{
		"pdx only":       {[]string{pdx}, 200, 401},
		"both":           {[]string{both}, 200, 200},
		"route only":     {[]string{p.bearer(blockScope)}, 401, 401},
		"another route":  {[]string{p.bearer(ScopePDX, "post:/calendar/add-event")}, 200, 401},
		"no scope":       {[]string{p.bearer("")}, 401, 401},
		"none":           {nil, 401, 401},
		"unknown":        {[]string{"Authorization: Bearer ory_at_x"}, 401, 401},
		"basic":          {[]string{goodBasic()}, 401, 401},
		"two":            {[]string{both, both}, 401, 401},
		"lower case":     {[]string{strings.Replace(both, "Bearer", "bearer", 1)}, 200, 200},
		"in wrong field": {[]string{strings.Replace(both, "Authorization", "Authentication", 1)}, 401, 401},
	} {
		if r := p.do("GET", p.datasetURL(c), "", tt.bearer...); r.StatusCode != tt.dataset {
			t.Errorf("%s: dataset: status %d, want %d (%s)", name, r.StatusCode, tt.dataset, p.last().Reason)
		}
		if r := p.do("GET", p.blockURL(c), "", append(tt.bearer, keyHeader(c))...); r.StatusCode != tt.block {
			t.Errorf("%s: block: status %d, want %d (%s)", name, r.StatusCode, tt.block, p.last().Reason)
		}
	}

	p.pass(3598 * time.Second)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", pdx), 200)
	p.pass(time.Second)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", pdx), 401)
	if reason := p.last().Reason; !strings.Contains(reason, "expired") {
		t.Errorf("reason %q", reason)
	}
	fresh := p.bearer()
	p.Revoke()
	wantStatus(t, p.do("GET", p.datasetURL(c), "", fresh), 401)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", p.bearer()), 200)
}

func TestAccessDenied(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	for choice, want := range map[string]string{
		"overview": `{"error":{"message":"Access denied","reason":"Unable to authorize the request. Please make sure you send an OAuth2.0 bearer token or an API key."}}`,
		"spec":     `{"error":{"message":"Access denied","reason":"The token is invalid or expired"}}`,
	} {
		p.Set(func(s *Settings) { s.AccessDenied = choice })
		if r := p.do("GET", p.datasetURL(c), ""); r.StatusCode != 401 || r.body != want {
			t.Errorf("%s: %d %s", choice, r.StatusCode, r.body)
		}
	}
	if n := p.Counts().Unauthorized; n != 2 {
		t.Errorf("counted %d", n)
	}
}

// A member's data must open for that member's uid, con_id and key and for no
// other mixture, or a proxy that mixes people up would pass its tests.
func TestMemberIsJudged(t *testing.T) {
	p := newPlatform(t)
	r, w := p.connect(robin.UID), p.connect(wren.UID)
	bearer := p.bearer(ScopePDX, blockScope)
	change := func(u, what, with string) string {
		t.Helper()
		changed := strings.Replace(u, what, with, 1)
		if changed == u {
			t.Fatalf("no %q in %s", what, u)
		}
		return changed
	}
	dataset, block := p.datasetURL(r), p.blockURL(r)
	for name, tt := range map[string]struct {
		url    string
		key    []string
		status int
	}{
		"dataset":                      {dataset, nil, 200},
		"dataset, uid again":           {dataset + "&uid=4020", nil, 200},
		"dataset, key in header":       {change(dataset, "key="+r.Key, "x="), []string{keyHeader(r)}, 400},
		"dataset, other's key":         {change(dataset, r.Key, w.Key), nil, 401},
		"dataset, other's path":        {change(dataset, "4020.json", "4021.json"), nil, 401},
		"dataset, other's con_id":      {change(dataset, r.ConID, w.ConID), nil, 401},
		"dataset, other uid in query":  {dataset + "&uid=4021", nil, 401},
		"dataset, uid is an array":     {dataset + "&uid[]=4020", nil, 401},
		"dataset, not connection":      {change(dataset, "=connection", "=user"), nil, 400},
		"dataset, no source_type":      {change(dataset, "source_type", "x"), nil, 400},
		"dataset, no con_id":           {change(dataset, "con_id", "x"), nil, 400},
		"dataset, no dataset":          {change(dataset, "dataset=", "x="), nil, 400},
		"dataset, instance is no no.":  {change(dataset, "instance=0", "instance=-1"), nil, 400},
		"dataset, no suffix":           {change(dataset, ".json", ""), nil, 404},
		"dataset, later con.id wins":   {dataset + "&con.id=" + w.ConID, nil, 401},
		"dataset, later con_id wins":   {change(dataset, "con_id", "con.id=x&con_id"), nil, 200},
		"dataset, con[id":              {dataset + "&con[id=" + w.ConID, nil, 401},
		"dataset, con id":              {dataset + "&con%20id=" + w.ConID, nil, 401},
		"dataset, con_id is an array":  {dataset + "&con_id[]=" + r.ConID, nil, 400},
		"dataset, key is an array":     {dataset + "&key[]=" + r.Key, nil, 400},
		"dataset, encoded names":       {change(dataset, "con_id", "c%6fn%5Fid"), nil, 200},
		"dataset, dots in path":        {change(dataset, "4020.json", "4021.json/../4020.json"), nil, 200},
		"dataset, encoded dots":        {change(dataset, "4020.json", "4020.json%2f..%2f4021.json"), nil, 401},
		"block":                        {block, []string{keyHeader(r)}, 200},
		"block, key in query":          {block + "&key=" + r.Key, nil, 400},
		"block, other's key":           {block, []string{keyHeader(w)}, 401},
		"block, two keys":              {block, []string{keyHeader(r), keyHeader(w)}, 401},
		"block, other's uid":           {change(block, "uid=4020", "uid=4021"), []string{keyHeader(r)}, 401},
		"block, later uid wins":        {block + "&uid=4021", []string{keyHeader(r)}, 401},
		"block, later uid+ is another": {block + "&+uid=4021", []string{keyHeader(r)}, 401},
		"block, no uid":                {change(block, "uid=4020", "UID=4020"), []string{keyHeader(r)}, 400},
		"block, no con_id":             {change(block, "&con_id="+r.ConID, ""), []string{keyHeader(r)}, 400},
		"block, key of another name":   {block, []string{"Connection_Token: " + r.Key}, 400},
		"nobody's uid":                 {change(block, "uid=4020", "uid=1"), []string{keyHeader(r)}, 401},
		"no such path":                 {p.pdx + "/api/pdx", nil, 404},
	} {
		res := p.do("GET", tt.url, "", append(tt.key, bearer)...)
		if res.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d (%s)", name, res.StatusCode, tt.status, p.last().Reason)
		}
		if tt.status == 400 && (res.json["success"] != 0.0 || res.json["message"] == "") {
			t.Errorf("%s: %s", name, res.body)
		}
		uid := ""
		if tt.status == 200 {
			uid = robin.UID
		}
		if got := p.last().UID; got != uid && tt.status != 400 {
			t.Errorf("%s: opened %q", name, got)
		}
	}
	wantStatus(t, p.do("DELETE", p.blockURL(r), "", bearer), http.StatusMethodNotAllowed)
	wantStatus(t, p.do("HEAD", p.datasetURL(r), "", bearer), http.StatusMethodNotAllowed)
}

// Which status the platform has for another's key is not known: a client must
// cope with each.
func TestMemberRefusal(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	target := strings.Replace(p.datasetURL(c), c.Key, "wrong", 1)
	for _, status := range []int{400, 401, 403} {
		p.Set(func(s *Settings) { s.MemberRefusal = status })
		r := p.do("GET", target, "", p.bearer())
		if wantStatus(t, r, status); status == 401 == (r.json["error"] == nil) {
			t.Errorf("%d: %s", status, r.body)
		}
	}
}

// Behind some servers, Connection_Token arrives as Connection-Token.
func TestUnderscoreHeaders(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	bearer := p.bearer(ScopePDX, blockScope)
	p.Set(func(s *Settings) { s.UnderscoreHeaders = true })
	wantStatus(t, p.do("GET", p.blockURL(c), "", bearer, "Connection_Token: "+c.Key), 200)
	wantStatus(t, p.do("GET", p.blockURL(c), "", bearer, keyHeader(c), "Connection_Token: x"), 401)
}

// After a withdrawal nothing opens; after a rotation only the new key does.
// Neither loses data.
func TestWithdrawAndRotate(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	bearer := p.bearer()
	wantStatus(t, p.do("POST", p.datasetURL(c), `{"ds_personal_details":{"field_personal_fname":"Robin"}}`, bearer), 200)

	rotated, err := p.Rotate(robin.UID)
	if err != nil || rotated.Key == c.Key || rotated.ConID != c.ConID {
		t.Fatalf("%+v, %v", rotated, err)
	}
	wantStatus(t, p.do("GET", p.datasetURL(c), "", bearer), 401)
	wantStatus(t, p.do("GET", p.datasetURL(rotated), "", bearer), 200)

	p.Withdraw(robin.UID)
	wantStatus(t, p.do("GET", p.datasetURL(rotated), "", bearer), 401)
	if _, ok := p.Connection(robin.UID); ok {
		t.Error("still connected")
	}
	if _, err := p.Rotate(robin.UID); err == nil {
		t.Error("rotated the key of nobody")
	}
	again := p.connect(robin.UID)
	if r := p.do("GET", p.datasetURL(again), "", bearer); again.Key == rotated.Key || !strings.Contains(r.body, "Robin") {
		t.Errorf("key %q, data %s", again.Key, r.body)
	}
}

// What crossed must be seen byte by byte, or no test could say that something
// did not cross.
func TestRecords(t *testing.T) {
	p := newPlatform(t)
	c := p.connect(robin.UID)
	bearer := p.bearer(ScopePDX, "post:/calendar/add-event")
	p.Reset()
	query := "uid=4020&con%5Fid=" + c.ConID + "&x=%2F+a"
	p.do("POST", p.pdx+"/calendar/add-event?"+query, "{ \"a\": 1 }", bearer, keyHeader(c), "Cookie: a=b", "Cookie: c=d")
	all := p.Records()
	if len(all) != 1 {
		t.Fatalf("%d records", len(all))
	}
	r := all[0]
	u, _ := url.Parse(p.pdx)
	if r.Role != "pdx" || r.Area != "pdx" || r.Method != "POST" || r.URI != "/calendar/add-event?"+query || r.RawQuery != query ||
		r.Host != u.Host || r.Body != "{ \"a\": 1 }" || r.BodySize != 10 || r.Status != 400 || !strings.Contains(r.Reason, "title") ||
		len(r.Header["Cookie"]) != 2 || r.Header.Get("Connection-Token") != c.Key || "Authorization: "+r.Header.Get("Authorization") != bearer {
		t.Errorf("record %+v", r)
	}
	p.do("POST", p.op+"/oauth2/token", goodForm)
	p.do("POST", p.identity+"/ftc/setup", strings.Repeat("x", 100<<10))
	all = p.Records()
	if all[1].Role != "op" || all[1].Body != goodForm || all[2].Role != "identity" || all[2].Area != "setup" ||
		len(all[2].Body) != maxKeptBody || all[2].BodySize != 100<<10 {
		t.Errorf("records %+v, %s %s %d", all[1], all[2].Role, all[2].Area, all[2].BodySize)
	}
}
