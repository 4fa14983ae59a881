// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// dates are the values of a field of a list's items.
func dates(items []map[string]any, field string) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i], _ = item[field].(string)
	}
	return all
}

// TestK8_DatesFilter protects who counts on a bound: what is out of it is not there.
func TestK8_DatesFilter(t *testing.T) {
	p := newPlatform(t)
	a := p.participantToken(alice.ID)
	today := p.clock().UTC().Truncate(24 * time.Hour)
	on := func(n int) string { return url.QueryEscape(today.AddDate(0, 0, -n).Format(time.RFC3339)) }
	for query, want := range map[string]int{
		"surveyanswers|surveyAnswers|after=" + on(1):                                                                  2,
		"surveyanswers|surveyAnswers|before=" + on(1):                                                                 1,
		"surveyanswers|surveyAnswers|after=" + on(1) + "&before=" + on(0):                                             1,
		"surveyresults|surveyResults|insertedAfter=" + on(0):                                                          1,
		"surveyresults|surveyResults|insertedBefore=" + on(0):                                                         2,
		"notifications|notifications|sentAfter=" + on(1):                                                              2,
		"notifications|notifications|sentAfter=" + on(1) + "&type=Email":                                              1,
		"devicedata|deviceDataPoints|namespace=Fitbit&type=Steps&observedAfter=" + on(9) + "&observedBefore=" + on(2): 7,
		"devicedata|deviceDataPoints|namespace=Fitbit&type=Steps,Floors&observedAfter=" + on(2):                       6,
		"devicedata|deviceDataPoints|namespace=Fitbit&type=Steps&modifiedAfter=" + on(0):                              1,
		"fitbit/dailySummaries|results|startDate=" + on(1) + "&endDate=" + on(0):                                      1,
		"devicedata|deviceDataPoints|namespace=Fitbit&type=Nothing":                                                   0,
	} {
		parts := strings.SplitN(query, "|", 3)
		if got := listOf(t, p.call("GET", delegated+parts[0]+"?"+parts[2], a, ""), parts[1]); len(got) != want {
			t.Errorf("%s: %d items, want %d: %v", query, len(got), want, dates(got, "date"))
		}
	}
	wantStatus(t, p.call("GET", delegated+"surveyanswers?after=yesterday", a, ""), 400)
	// A day later the newest is of that day.
	before := listOf(t, p.call("GET", delegated+"notifications", a, ""), "notifications")[0]["sentDate"]
	p.pass(24 * time.Hour)
	if after := listOf(t, p.call("GET", delegated+"notifications", p.participantToken(alice.ID), ""), "notifications")[0]["sentDate"]; after == before {
		t.Errorf("the newest notification is of %v on the next day, too", after)
	}
}

// TestK8_WhatDevicesMeasured protects charts: a value for every day, found by
// its ID, deleted by it, and another for another participant.
func TestK8_WhatDevicesMeasured(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	const steps = "devicedata?namespace=Fitbit&type=Steps"
	mine := listOf(t, p.call("GET", delegated+steps, a, ""), "deviceDataPoints")
	days := map[string]bool{}
	for _, point := range mine {
		days[point["startDate"].(string)[:10]] = true
		if point["namespace"] != "Fitbit" || point["type"] != "Steps" || point["participantID"] != alice.ID {
			t.Errorf("%v", point)
		}
	}
	if len(mine) != seriesDays || len(days) != seriesDays {
		t.Errorf("%d points of %d days, want %d", len(mine), len(days), seriesDays)
	}
	if theirs := listOf(t, p.call("GET", delegated+steps, b, ""), "deviceDataPoints"); theirs[0]["id"] == mine[0]["id"] {
		t.Error("two participants have the same point")
	}
	one := delegated + "devicedata/" + mine[3]["id"].(string)
	if r := p.call("GET", one, a, ""); r.json["value"] != mine[3]["value"] {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	wantStatus(t, p.call("GET", one, b, ""), 404)
	wantStatus(t, p.call("DELETE", one, a, ""), 200)
	if left := listOf(t, p.call("GET", delegated+steps, a, ""), "deviceDataPoints"); len(left) != seriesDays-1 {
		t.Errorf("%d left", len(left))
	}
	v2 := listOf(t, p.call("GET", "/api/v2/"+strings.TrimPrefix(delegated, "/api/v1/")+steps, b, ""), "deviceDataPoints")
	if len(v2) != seriesDays || v2[0]["dataSource"] == nil || v2[0]["startDateOffset"] == nil {
		t.Errorf("second version: %d %v", len(v2), v2[0])
	}
}

// TestK8_HealthRecordsHaveTheirForm protects the component library's views of
// health records, which read these fields.
func TestK8_HealthRecordsHaveTheirForm(t *testing.T) {
	p := newPlatform(t)
	a := p.participantToken(alice.ID)
	get := func(name string) response { return p.call("GET", delegated+"custom/HealthAndWellnessApi."+name, a, "") }
	for name, fields := range map[string][]string{
		"Allergies": {"Substance", "Reactions", "TermInformation"}, "Conditions": {"DisplayName", "TermInformation"},
		"Medications": {"DisplayName", "OrderText"}, "TermInformation?TermCode=1": {"Title", "Link", "Summary"},
	} {
		items := listOf(t, get(name), "")
		if len(items) == 0 {
			t.Errorf("%s: nothing there", name)
		}
		for _, item := range items {
			for _, field := range append(fields, "participantID") {
				if item[field] == nil {
					t.Errorf("%s: no %s in %v", name, field, item)
				}
			}
		}
	}
	for name, fields := range map[string][]string{
		"LabResults": {"ImportantLabs", "RecentLabs"}, "LabResultsBloodType": {"BloodTypeLabs"}, "PatientEventsPreview?View=Reports": {"PreviewValues", "Count"},
		"NewsFeed?Feed=LabReports": {"Events", "NextPageID", "NextPageDate"}, "DownloadReport?ReportID=1": {"Type", "Content", "ContentType"},
	} {
		r := get(name)
		for _, field := range append(fields, "participantID") {
			if r.json[field] == nil {
				t.Errorf("%s: no %s: %s", name, field, r.body)
			}
		}
	}
	// Each event of a feed is there once.
	first := get("NewsFeed?Feed=Procedures")
	rest := get("NewsFeed?Feed=Procedures&PageID=" + first.json["NextPageID"].(string))
	seen := map[any]bool{}
	for _, event := range append(listOf(t, first, "Events"), listOf(t, rest, "Events")...) {
		seen[event["ID"]] = true
		if event["Type"] != "ProcedureGroup" {
			t.Errorf("%v", event)
		}
	}
	if len(seen) != itemsPerKind || rest.json["NextPageID"] != nil {
		t.Errorf("%d events, then %v", len(seen), rest.json["NextPageID"])
	}
}

// TestK8_ProvidersHaveThePlatformsIDs protects the components that look for an
// account by an ID they have built in.
func TestK8_ProvidersHaveThePlatformsIDs(t *testing.T) {
	p := newPlatform(t)
	a := p.participantToken(alice.ID)
	ids := map[string]float64{}
	for _, provider := range listOf(t, p.call("GET", delegated+"externalaccountproviders", a, ""), "externalAccountProviders") {
		ids[provider["name"].(string)] = provider["id"].(float64)
	}
	for name, id := range map[string]float64{"Fitbit": 564, "Garmin": 6327, "Omron": 1466, "Oura": 45417, "Google Health": 49369} {
		if ids[name] != id {
			t.Errorf("%s has the ID %v, want %v", name, ids[name], id)
		}
	}
	account := listOf(t, p.call("GET", delegated+"externalaccounts", a, ""), "")[0]
	if provider := account["provider"].(map[string]any); provider["id"] != 564.0 || account["status"] != "fetchComplete" {
		t.Errorf("the first account is %v", account)
	}
	if got := listOf(t, p.call("GET", delegated+"externalaccountproviders?category=Provider", a, ""), "externalAccountProviders"); len(got) != 1 {
		t.Errorf("%d providers of the category", len(got))
	}
}

// consentAt is the address where an account of Oura's is connected, as a path.
func (p *platform) consentAt(token, verifier string) string {
	p.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	r := p.call("POST", delegated+"externalaccountproviders/45417/connect?"+url.Values{
		"finalRedirectPath": {"https://app.example.org/?connectExternalAccount=true&messageID=7&success=%SUCCESSVALUE%"},
		"verifierHash":      {base64.RawURLEncoding.EncodeToString(sum[:])},
	}.Encode(), token, "")
	wantStatus(p.t, r, 200)
	return strings.TrimPrefix(strings.Trim(r.body, `"`), p.url)
}

func (p *platform) decide(at, decision, verifier string) response {
	p.t.Helper()
	_, query, _ := strings.Cut(at, "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		p.t.Fatal(err)
	}
	form.Set("decision", decision)
	form.Set("verifier", verifier)
	req := p.request("POST", at, "", form.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.do(req)
}

// TestK8_ConsentIsGivenOnAPage protects rehearsing how a device is connected:
// allowed, it is there; denied, begun by somebody else or made up, it is not.
func TestK8_ConsentIsGivenOnAPage(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	oura := func(token string) (found int) {
		for _, account := range listOf(t, p.call("GET", delegated+"externalaccounts", token, ""), "") {
			if account["provider"].(map[string]any)["id"] == 45417.0 {
				found++
			}
		}
		return found
	}
	at := p.consentAt(a, "secret")
	if r := p.call("GET", at, "", ""); r.StatusCode != 200 || !strings.Contains(r.body, "Oura") || !strings.Contains(r.body, "Allow") || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the page: %d %s", r.StatusCode, r.body)
	}
	denied := p.decide(at, "deny", "secret")
	if denied.StatusCode != http.StatusSeeOther || denied.Header.Get("Location") != "https://app.example.org/?connectExternalAccount=true&messageID=7&success=false" {
		t.Errorf("denied: %d %s", denied.StatusCode, denied.Header.Get("Location"))
	}
	wantStatus(t, p.decide(at, "allow", "another"), 403)
	wantStatus(t, p.decide(strings.Replace(at, alice.ID, bob.ID, 1), "allow", "secret"), 403)
	if oura(a) != 0 || oura(b) != 0 {
		t.Fatal("an account is there that nobody has allowed")
	}
	allowed := p.decide(at, "allow", "secret")
	if allowed.StatusCode != http.StatusSeeOther || !strings.HasSuffix(allowed.Header.Get("Location"), "success=true") {
		t.Errorf("allowed: %d %s", allowed.StatusCode, allowed.Header.Get("Location"))
	}
	if oura(a) != 1 || oura(b) != 0 {
		t.Errorf("alice has %d accounts of it, bob %d", oura(a), oura(b))
	}
}

// TestK8b_BrowsersMayUpload protects uploads from a page: the store of files
// allows the header that the SDK sends.
func TestK8b_BrowsersMayUpload(t *testing.T) {
	p := newPlatform(t)
	r := p.call("POST", delegated+"files?category=photos&fileName=cat.png", p.participantToken(alice.ID), "")
	req := p.request("OPTIONS", strings.TrimPrefix(r.json["preSignedUrl"].(string), p.url), "", "")
	req.Header.Set("Origin", "https://app.example.org")
	req.Header.Set("Access-Control-Request-Method", "PUT")
	req.Header.Set("Access-Control-Request-Headers", "content-type,x-amz-server-side-encryption")
	got := p.do(req)
	allowed := strings.ToLower(got.Header.Get("Access-Control-Allow-Headers"))
	if got.StatusCode/100 != 2 || !strings.Contains(allowed, "x-amz-server-side-encryption") || !strings.Contains(allowed, "content-type") || !strings.Contains(got.Header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

// TestK8b_SurveysAreTaken protects rehearsing surveys, with a token and by a
// link: what was answered is the participant's, and their task is done.
func TestK8b_SurveysAreTaken(t *testing.T) {
	p := newPlatform(t)
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	page := p.call("GET", "/survey?surveyName=Survey1&lang=en", "", "")
	if page.StatusCode != 200 || !strings.Contains(page.body, "GetDelegatedAccessToken") || !strings.Contains(page.body, "SurveyFinished") {
		t.Errorf("the page: %d %s", page.StatusCode, page.body)
	}
	wantStatus(t, p.call("GET", "/survey", "", ""), 400)
	if r := p.call("GET", "/survey?surveyName=%3Cscript%3Ealert(1)%3C%2Fscript%3E", "", ""); strings.Contains(r.body, "<script>alert") {
		t.Error("the survey's name is taken for markup")
	}
	answers := func(token string) int {
		return len(listOf(t, p.call("GET", delegated+"surveyanswers?surveyName=Survey1", token, ""), "surveyAnswers"))
	}
	incomplete := func(token string) int {
		return len(listOf(t, p.call("GET", delegated+"surveytasks?status=incomplete", token, ""), "surveyTasks"))
	}
	if answers(a) != 1 || incomplete(a) != 1 {
		t.Fatalf("%d answers and %d tasks before", answers(a), incomplete(a))
	}
	wantStatus(t, p.call("POST", delegated+"custom/Simulator.Survey", a, `{"surveyName":"Survey1","answer":"well"}`), 200)
	wantStatus(t, p.call("POST", delegated+"custom/Simulator.Survey", "", `{"surveyName":"Survey1","answer":"well"}`), 401)
	if answers(a) != 2 || incomplete(a) != 0 || answers(b) != 1 || incomplete(b) != 1 {
		t.Errorf("alice has %d answers and %d tasks, bob %d and %d", answers(a), incomplete(a), answers(b), incomplete(b))
	}
	link := p.call("GET", delegated+"participant", b, "").json["linkIdentifier"].(string)
	if r := p.call("GET", "/mydatahelps/"+link+"/surveylink/Survey1?lang=en", "", ""); r.StatusCode != 200 || !strings.Contains(r.body, "Bob") {
		t.Errorf("by a link: %d %s", r.StatusCode, r.body)
	}
	wantStatus(t, p.call("GET", "/mydatahelps/"+alice.ID+"/surveylink/Survey1", "", ""), 404)
	req := p.request("POST", "/mydatahelps/"+link+"/surveylink/Survey1", "", "answer=fine")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	wantStatus(t, p.do(req), 200)
	if answers(b) != 2 || incomplete(b) != 0 {
		t.Errorf("bob has %d answers and %d tasks", answers(b), incomplete(b))
	}
}
