// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Each kind of token opens its own API only; what is refused says 401.
func TestTokenKinds(t *testing.T) {
	p := newPlatform(t)
	service, own := p.serviceToken(), p.participantToken(alice.ID)
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 200)
	wantStatus(t, p.call("GET", "/api/v1/delegated/participant", own, ""), 200)
	wantStatus(t, p.call("GET", adminPath(""), own, ""), 401)
	wantStatus(t, p.call("GET", "/api/v1/delegated/participant", service, ""), 401)
	for _, target := range []string{adminPath(""), "/api/v1/delegated/participant"} {
		wantStatus(t, p.call("GET", target, "", ""), 401)
		r := p.call("GET", target, strings.Repeat("0", 32), "")
		wantStatus(t, r, 401)
		if r.Header.Get("WWW-Authenticate") != "Bearer" || r.json["message"] == nil {
			t.Errorf("%s: header %q, body %s", target, r.Header.Get("WWW-Authenticate"), r.body)
		}
	}
	kinds := map[string]bool{}
	for _, r := range p.Records() {
		kinds[r.TokenKind] = true
	}
	if len(kinds) != 4 {
		t.Errorf("records know the kinds %v, want none, unknown, service and participant", kinds)
	}
}

// A token must stop working when it expires, is revoked, or its owner is gone.
func TestParticipantTokenEnds(t *testing.T) {
	p := newPlatform(t)
	const target = "/api/v1/delegated/participant"
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	wantStatus(t, p.call("GET", target, a, ""), 200)
	p.Revoke(strings.ToUpper(alice.ID))
	wantStatus(t, p.call("GET", target, a, ""), 401)
	wantStatus(t, p.call("GET", target, b, ""), 200)
	p.Revoke("")
	wantStatus(t, p.call("GET", target, b, ""), 401)

	b = p.participantToken(bob.ID)
	p.pass(3599 * time.Second)
	wantStatus(t, p.call("GET", target, b, ""), 200)
	p.pass(time.Second)
	wantStatus(t, p.call("GET", target, b, ""), 401)

	a, b = p.participantToken(alice.ID), p.participantToken(bob.ID)
	p.UpdateParticipant(bob.ID, func(b *Participant) { b.WithdrawDate = "2025-06-01" })
	wantStatus(t, p.call("GET", target, a, ""), 200)
	wantStatus(t, p.call("GET", target, b, ""), 401)
	if n := p.Counts().Unauthorized; n != 4 {
		t.Errorf("%d counted as unauthorized, want 4", n)
	}
}

// An upstream that refuses one person's live token must not touch another's.
func TestUnauthorizedByChoice(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	p.Set(func(s *Settings) {
		s.Unauthorized, s.UnauthorizedPaths = []string{alice.ID}, []string{"/api/v1/delegated/Project"}
	})
	wantStatus(t, p.call("GET", "/api/v1/delegated/participant", a, ""), 401)
	wantStatus(t, p.call("GET", "/api/v1/delegated/participant", b, ""), 200)
	wantStatus(t, p.call("GET", "//api//v1/delegated/project", b, ""), 401)
}

// Calls that every participant may make, by the key that holds the list; ""
// is a bare list and "-" an object.
var reads = map[string]string{
	"/api/v1/delegated/participant":                                                 "-",
	"/api/v1/delegated/project":                                                     "-",
	"/api/v1/delegated/datacollectionsettings":                                      "-",
	"/api/v1/delegated/dataavailability":                                            "-",
	"/api/v1/delegated/surveyanswers":                                               "surveyAnswers",
	"/api/v1/delegated/surveyresults":                                               "surveyResults",
	"/api/v1/delegated/surveytasks":                                                 "surveyTasks",
	"/api/v1/delegated/notifications":                                               "notifications",
	"/api/v1/delegated/inbox":                                                       "items",
	"/api/v1/delegated/devicedata?namespace=Fitbit":                                 "deviceDataPoints",
	"/api/v1/delegated/devicedata/allDataTypes":                                     "",
	"/api/v2/delegated/devicedata?namespace=Oura":                                   "deviceDataPoints",
	"/api/v2/delegated/devicedata/aggregate":                                        "intervals",
	"/api/v2/delegated/devicedata/aggregate/dailysleep":                             "sleepStageSummaries",
	"/api/v2/delegated/devicedata/allDataTypes":                                     "",
	"/api/v1/delegated/fitbit/dailySummaries":                                       "results",
	"/api/v1/delegated/fitbit/sleepLogs":                                            "results",
	"/api/v1/delegated/appleHealth/activitySummaries":                               "results",
	"/api/v1/delegated/appleHealth/workouts":                                        "results",
	"/api/v1/delegated/externalaccountproviders":                                    "-",
	"/api/v1/delegated/featuredexternalaccountproviders?featuredProvidersContext=x": "",
	"/api/v1/delegated/externalaccounts":                                            "",
	"/api/v1/delegated/files":                                                       "files",
	"/api/v1/delegated/custom/Asthma.ActionPlan":                                    "-",
}

// If an answer did not carry its owner, two people's data could be mixed up
// without a test seeing it.
func TestEveryReadShowsWhoseItIs(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	for target, key := range reads {
		for token, who := range map[string]Participant{a: alice, b: bob} {
			r := p.call("GET", target, token, "")
			wantStatus(t, r, 200)
			items := []map[string]any{r.json}
			if key != "-" {
				items = listOf(t, r, key)
			}
			if len(items) == 0 {
				t.Errorf("%s: nothing there", target)
			}
			for _, item := range items {
				if item["participantID"] != who.ID || item["participantIdentifier"] != who.Identifier {
					t.Errorf("%s as %s: %v", target, who.Identifier, item)
				}
			}
		}
	}
}

// Clients and proxies in the field send double slashes and any case.
func TestPathsAreReadLeniently(t *testing.T) {
	p := newPlatform(t)
	own, service := p.participantToken(alice.ID), p.serviceToken()
	for _, target := range []string{"//api/v1/delegated/participant", "/api/v1//delegated///participant", "/API/V1/Delegated/PARTICIPANT", "/api/v1/delegated/x/../participant"} {
		wantStatus(t, p.call("GET", target, own, ""), 200)
	}
	wantStatus(t, p.call("GET", "/"+adminPath("/alice"), service, ""), 200)
	wantStatus(t, p.call("GET", "/api/v1/delegated/nothing", own, ""), 404)
	r := p.call("DELETE", "/api/v1/delegated/participant", own, "")
	wantStatus(t, r, 405)
	if r.Header.Get("Allow") != "GET, PUT" {
		t.Errorf("Allow: %q", r.Header.Get("Allow"))
	}
	// What a test reads in the records must be what was on the wire.
	if r := p.Records()[4]; r.URI != "/api/v1//delegated///participant" {
		t.Errorf("record's URI %q", r.URI)
	}
}

// A policy that asks for too narrow a scope must fail here, not in production.
func TestScopesAreEnforced(t *testing.T) {
	p := newPlatform(t)
	narrow := p.participantToken(alice.ID, "SurveyAnswers:read")
	wantStatus(t, p.call("GET", "/api/v1/delegated/surveyanswers", narrow, ""), 200)
	wantStatus(t, p.call("GET", "/api/v1/delegated/inbox", narrow, ""), 200) // no scope is known for it
	wantStatus(t, p.call("GET", "/api/v1/delegated/participant", narrow, ""), 403)
}

// Images and public views are loaded by tags that send no token.
func TestPublicRoutes(t *testing.T) {
	p := newPlatform(t)
	for _, target := range []string{"/api/v1/delegated/externalaccountproviders/1/logo", "/api/v1/public/projects/" + project + "/views/home", "/api/fhirpublicproviders"} {
		wantStatus(t, p.call("GET", target, "", ""), 200)
	}
	if c := p.Counts(); c.Public != 3 || c.Delegated != 0 {
		t.Errorf("counts %+v", c)
	}
}

// The list is a trap: a client that trusts its filter gets everybody.
func TestListIgnoresFilters(t *testing.T) {
	p := newPlatform(t)
	service := p.serviceToken()
	r := p.call("GET", adminPath("?participantIdentifier=bob&customField=2&query=bob"), service, "")
	if got := len(listOf(t, r, "participants")); got != 2 || r.json["totalParticipants"] != 2.0 {
		t.Errorf("%d participants, want both: %s", got, r.body)
	}
	p.Set(func(s *Settings) { s.ListFilterParam, s.ListFilterField = "field", "user" })
	r = p.call("GET", adminPath("?field=2"), service, "")
	list := listOf(t, r, "participants")
	if len(list) != 1 || list[0]["id"] != bob.ID || r.json["totalParticipants"] != 1.0 {
		t.Errorf("filtered: %s", r.body)
	}
}

// An index over the list must see everybody once, whatever page size it hopes for.
func TestListPages(t *testing.T) {
	p := newPlatform(t)
	for _, s := range SampleParticipants(248) {
		p.AddParticipant(s)
	}
	service := p.serviceToken()
	for _, order := range []string{"true", "false"} {
		seen := map[any]bool{}
		for n := range 4 {
			r := p.call("GET", adminPath(fmt.Sprintf("?pageNumber=%d&pageSize=1000&sortBy=InsertedDate&sortAscending=%s", n, order)), service, "")
			list := listOf(t, r, "participants")
			if want := []int{100, 100, 50, 0}[n]; len(list) != want || r.json["totalParticipants"] != 250.0 {
				t.Fatalf("page %d has %d of %v, want %d of 250", n, len(list), r.json["totalParticipants"], want)
			}
			if n == 0 && (list[0]["participantIdentifier"] == "alice") != (order == "true") {
				t.Errorf("ascending=%s begins with %v", order, list[0]["participantIdentifier"])
			}
			for _, item := range list {
				seen[item["id"]] = true
			}
		}
		if len(seen) != 250 {
			t.Errorf("%d participants seen, want 250", len(seen))
		}
	}
	wantStatus(t, p.call("GET", adminPath("?pageNumber=-1"), service, ""), 400)
	wantStatus(t, p.call("GET", adminPath("?pageNumber=9223372036854775807"), service, ""), 200)
	if c := p.Counts(); c.ListPages != 9 || c.Lookups != 0 {
		t.Errorf("counts %+v", c)
	}
}

// Get Participant is how a subject becomes a GUID.
func TestLookup(t *testing.T) {
	p := newPlatform(t)
	p.AddParticipant(Participant{Identifier: "a/b c"})
	service := p.serviceToken()
	r := p.call("GET", adminPath("/alice"), service, "")
	wantStatus(t, r, 200)
	if r.json["id"] != alice.ID || r.json["participantIdentifier"] != "alice" || r.json["withdrawDate"] != nil {
		t.Errorf("answer %s", r.body)
	}
	wantStatus(t, p.call("GET", adminPath("/"+url.PathEscape("a/b c")), service, ""), 200)
	for _, miss := range []string{"/nobody", "/ALICE", "/" + alice.ID} {
		r := p.call("GET", adminPath(miss), service, "")
		wantStatus(t, r, 404)
		if r.json["message"] == nil {
			t.Errorf("%s: %s", miss, r.body)
		}
	}
	p.Set(func(s *Settings) { s.CaseInsensitiveLookup, s.LookupByID = true, true })
	wantStatus(t, p.call("GET", adminPath("/ALICE"), service, ""), 200)
	wantStatus(t, p.call("GET", adminPath("/"+alice.ID), service, ""), 200)
	wantStatus(t, p.call("GET", "/api/v1/administration/projects/"+alice.ID+"/participants/alice", service, ""), 404)
	if c := p.Counts(); c.Lookups != 7 {
		t.Errorf("%d lookups counted, want 7", c.Lookups)
	}
}

// Concurrent use, for the race detector: reads, writes and every switch.
func TestConcurrentUse(t *testing.T) {
	p := newPlatform(t)
	tokens := []string{p.participantToken(alice.ID), p.participantToken(bob.ID)}
	owners := []Participant{alice, bob}
	var wg sync.WaitGroup
	for i := range 8 {
		token, who := tokens[i%2], owners[i%2]
		wg.Go(func() {
			for range 20 {
				for _, req := range []*http.Request{
					p.request("GET", "/api/v1/delegated/participant", token, ""),
					p.request("PUT", "/api/v1/delegated/participant", token, `{"customFields":{"x":"y"}}`),
					p.request("POST", "/api/v1/delegated/customevents", token, `{"eventType":"x"}`),
				} {
					res, err := http.DefaultTransport.RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					b, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if res.StatusCode != 200 || !strings.Contains(string(b), who.ID) {
						t.Errorf("%d %s", res.StatusCode, b)
					}
				}
			}
		})
		wg.Go(func() {
			for n := range 50 {
				p.Set(func(s *Settings) { s.ServiceTokenLifetime = 300 + n })
				p.UpdateParticipant(who.ID, func(p *Participant) { p.CustomFields["n"] = fmt.Sprint(n) })
				p.AddParticipant(Participant{Identifier: fmt.Sprintf("p%d", n)})
				_, _, _ = p.Records(), p.Counts(), p.Settings()
			}
		})
	}
	wg.Wait()
	if n := p.Counts().Delegated; n != 480 {
		t.Errorf("%d delegated calls counted, want 480", n)
	}
}
