// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const delegated = "/api/v1/delegated/"

// Everything that can be deleted, and what lists it.
var deletable = map[string]struct{ list, key, id, path string }{
	"survey result":      {"surveyresults", "surveyResults", "id", "surveyresults/"},
	"device data point":  {"devicedata", "deviceDataPoints", "id", "devicedata/"},
	"external account":   {"externalaccounts", "", "id", "externalaccounts/delete/"},
	"account, iOS style": {"externalaccounts", "", "id", "../../cfhrprovideraccounts/account/"},
	"file":               {"files", "files", "key", "files?key="},
}

// Deleting must be final, mine only, and impossible for somebody else.
func TestDeletions(t *testing.T) {
	for name, tt := range deletable {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
			before := listOf(t, p.call("GET", delegated+tt.list, a, ""), tt.key)
			others := listOf(t, p.call("GET", delegated+tt.list, b, ""), tt.key)
			id := before[0][tt.id]
			if f, ok := id.(float64); ok {
				id = int64(f)
			}
			target := delegated + tt.path + fmt.Sprint(id)
			wantStatus(t, p.call("DELETE", target, b, ""), 404)
			wantStatus(t, p.call("DELETE", target, a, ""), 200)
			wantStatus(t, p.call("DELETE", target, a, ""), 404)
			if got := listOf(t, p.call("GET", delegated+tt.list, a, ""), tt.key); len(got) != len(before)-1 {
				t.Errorf("%d left of %d", len(got), len(before))
			}
			if got := listOf(t, p.call("GET", delegated+tt.list, b, ""), tt.key); len(got) != len(others) {
				t.Errorf("the other participant has %d left of %d", len(got), len(others))
			}
		})
	}
}

// What is written is there afterwards, for its owner and nobody else,
// whatever owner the body claims.
func TestDeviceDataIsWritten(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	body := fmt.Sprintf(`[{"type":"Mood","value":"7","participantID":"%s"},{"type":"Mood","value":"8"}]`, bob.ID)
	wantStatus(t, p.call("POST", delegated+"devicedata", a, body), 200)
	points := func(token string) (found []map[string]any) {
		for _, point := range listOf(t, p.call("GET", delegated+"devicedata?namespace=Project", token, ""), "deviceDataPoints") {
			if point["type"] == "Mood" {
				found = append(found, point)
			}
		}
		return found
	}
	mine := points(a)
	if len(mine) != 2 || mine[0]["participantID"] != alice.ID || mine[0]["value"] != "7" || mine[0]["id"] == mine[1]["id"] {
		t.Errorf("mine: %v", mine)
	}
	if theirs := points(b); theirs != nil {
		t.Errorf("theirs: %v", theirs)
	}
	one := p.call("GET", delegated+"devicedata/"+mine[0]["id"].(string), a, "")
	if wantStatus(t, one, 200); one.json["value"] != "7" {
		t.Errorf("one: %s", one.body)
	}
	wantStatus(t, p.call("GET", delegated+"devicedata/"+mine[0]["id"].(string), b, ""), 404)
	wantStatus(t, p.call("POST", delegated+"devicedata", a, `[{"type":"Mood"}]`), 400)
	wantStatus(t, p.call("POST", delegated+"devicedata", a, `{}`), 400)
}

// Participants change their own record only, and not who they are.
func TestParticipantChangesOwnRecord(t *testing.T) {
	p := newPlatform(t)
	a := p.participantToken(alice.ID)
	r := p.call("PUT", delegated+"participant", a,
		`{"demographics":{"firstName":"Alicia","city":"Rome"},"customFields":{"color":"red"},"participantIdentifier":"bob","withdrawDate":"2025-01-01"}`)
	wantStatus(t, r, 200)
	got, _ := p.Participant(alice.ID)
	if got.FirstName != "Alicia" || got.Demographics["city"] != "Rome" || got.CustomFields["color"] != "red" || got.CustomFields["user"] != "1" || got.Identifier != "alice" || got.WithdrawDate != "" {
		t.Errorf("stored %+v", got)
	}
	r = p.call("GET", delegated+"participant", a, "")
	if !strings.Contains(r.body, "Alicia") || !strings.Contains(r.body, `"color":"red"`) {
		t.Errorf("shown %s", r.body)
	}
}

// The inbox and events, whose answers the SDK reads.
func TestInboxAndEvents(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	id := listOf(t, p.call("GET", delegated+"inbox?type=survey,message", a, ""), "items")[0]["id"].(string)
	for _, want := range []string{"success", "noChange"} {
		if r := p.call("PUT", delegated+"inbox/"+id+"/markRead", a, ""); r.json["status"] != want {
			t.Errorf("markRead: %s, want %s", r.body, want)
		}
	}
	if r := p.call("GET", delegated+"inbox/"+id, a, ""); r.json["isNew"] != false {
		t.Errorf("item: %s", r.body)
	}
	wantStatus(t, p.call("PUT", delegated+"inbox/"+id+"/markRead", b, ""), 404)
	wantStatus(t, p.call("POST", delegated+"customevents", a, `{"eventType":"clicked","properties":{"n":1}}`), 200)
	wantStatus(t, p.call("POST", delegated+"customevents", a, `{}`), 400)
	if got := p.CustomEvents(alice.ID); len(got) != 1 || got[0]["eventType"] != "clicked" || p.CustomEvents(bob.ID) != nil {
		t.Errorf("events %v, bob's %v", got, p.CustomEvents(bob.ID))
	}
}

// Files go past the API, to a URL that needs no token but is good for one key and method.
func TestFiles(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	r := p.call("POST", delegated+"files?category=photos&fileName=my+cat.png", a, "")
	wantStatus(t, r, 200)
	target := strings.TrimPrefix(r.json["preSignedUrl"].(string), p.url)

	put := func(target, encryption string) response {
		req := p.request("PUT", target, "", "meow")
		if encryption != "" {
			req.Header.Set("X-Amz-Server-Side-Encryption", encryption)
		}
		return p.do(req)
	}
	wantStatus(t, put(target, ""), 403)
	wantStatus(t, put(strings.Replace(target, "my", "your", 1), "AES256"), 403)
	wantStatus(t, put(target, "AES256"), 200)
	wantStatus(t, p.call("GET", target, "", ""), 403) // signed for PUT

	list := listOf(t, p.call("GET", delegated+"files?category=photos", a, ""), "files")
	if len(list) != 1 || list[0]["fileName"] != "my cat.png" {
		t.Fatalf("files: %v", list)
	}
	key := list[0]["key"].(string)
	wantStatus(t, p.call("GET", delegated+"files/download?key="+url.QueryEscape(key), b, ""), 404)
	r = p.call("GET", delegated+"files/download?key="+strings.ReplaceAll(key, " ", "%20"), a, "") // slashes as the SDK sends them
	wantStatus(t, r, 200)
	if r := p.call("GET", strings.TrimPrefix(r.json["preSignedUrl"].(string), p.url), "", ""); r.body != "meow" {
		t.Errorf("downloaded %d %s", r.StatusCode, r.body)
	}
	welcome := listOf(t, p.call("GET", delegated+"files?category=welcome", a, ""), "files")[0]["key"].(string)
	r = p.call("GET", delegated+"files/download?key="+welcome, a, "")
	if r := p.call("GET", strings.TrimPrefix(r.json["preSignedUrl"].(string), p.url), "", ""); !strings.Contains(r.body, "Alice") {
		t.Errorf("welcome file: %d %s", r.StatusCode, r.body)
	}
	wantStatus(t, p.call("DELETE", delegated+"files?key="+url.QueryEscape(key), a, ""), 200)
	wantStatus(t, p.call("GET", delegated+"files/download?key="+url.QueryEscape(key), a, ""), 404)
	// A page of another origin may upload, as to any bucket set up for it.
	if r := p.call("OPTIONS", target, "", ""); r.StatusCode != 200 || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("preflight %d %v", r.StatusCode, r.Header)
	}
}

// Lists page by limit and pageID; a client must get each item once.
func TestPages(t *testing.T) {
	p := newPlatform(t)
	a := p.participantToken(alice.ID)
	seen, next := map[any]bool{}, ""
	for range 10 {
		r := p.call("GET", delegated+"surveyanswers?limit=1&pageID="+next, a, "")
		for _, item := range listOf(t, r, "surveyAnswers") {
			seen[item["id"]] = true
		}
		next, _ = r.json["nextPageID"].(string)
		if next == "" {
			break
		}
	}
	if len(seen) != itemsPerKind || next != "" {
		t.Errorf("%d seen, next %q", len(seen), next)
	}
	wantStatus(t, p.call("GET", delegated+"surveyanswers?pageID=x", a, ""), 400)
	for query, want := range map[string]int{
		"surveyName=Survey1":            1,
		"surveyName=Survey1,Survey2":    2,
		`surveyName=Survey1\,Survey2`:   0,
		"participantIdentifier=bob":     itemsPerKind, // must neither find nor hide
		"participantID=" + bob.ID:       itemsPerKind,
		"after=2099-01-01T00:00:00.00Z": 0,
		"after=2025-01-01":              itemsPerKind,
	} {
		if got := listOf(t, p.call("GET", delegated+"surveyanswers?"+query, a, ""), "surveyAnswers"); len(got) != want {
			t.Errorf("%s: %d items, want %d", query, len(got), want)
		}
	}
}

// External accounts: the connect answer is a JSON string, which proxies and
// clients that expect objects get wrong.
func TestExternalAccounts(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	r := p.call("POST", delegated+"externalaccountproviders/6327/connect?finalRedirectPath=https%3A%2F%2Fapp.example%2F&verifierHash=abc", a, "")
	wantStatus(t, r, 200)
	if !strings.HasPrefix(r.body, `"`+p.url+"/") || !strings.Contains(r.body, alice.ID) {
		t.Errorf("connect: %s", r.body)
	}
	wantStatus(t, p.call("POST", delegated+"externalaccountproviders/99/connect", a, ""), 404)
	account := listOf(t, p.call("GET", delegated+"externalaccounts", a, ""), "")[0]
	id := fmt.Sprintf("%.0f", account["id"])
	wantStatus(t, p.call("POST", delegated+"externalaccounts/refresh/"+id, a, ""), 200)
	wantStatus(t, p.call("POST", delegated+"externalaccounts/refresh/"+id, b, ""), 404)
	// 0-based pages.
	r = p.call("GET", delegated+"externalaccountproviders?pageSize=2&pageNumber=2", a, "")
	if got := listOf(t, r, "externalAccountProviders"); len(got) != 2 || r.json["totalExternalAccountProviders"] != 7.0 {
		t.Errorf("page 2: %s", r.body)
	}
	logo := listOf(t, r, "externalAccountProviders")[0]["logoUrl"].(string)
	if wantStatus(t, p.call("GET", strings.TrimPrefix(logo, p.url), "", ""), http.StatusOK); !strings.HasPrefix(logo, p.url) {
		t.Errorf("logo %s", logo)
	}
}
