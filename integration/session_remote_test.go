// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// TestC4_NumericUsers protects users of apps that count them: a whole number is
// the subject, to the last digit. (What is none: TestAnswerTypes of package session.)
func TestC4_NumericUsers(t *testing.T) {
	numbered := func(id int, identifier string) simulator.Participant {
		return simulator.Participant{ID: fmt.Sprintf("aaaaaaaa-1111-4111-8111-%012d", id), Identifier: identifier, FirstName: "N", LastName: identifier}
	}
	people := []simulator.Participant{numbered(1, "42"), numbered(2, "9007199254740992"), numbered(3, "9007199254740993")}
	for name, c := range map[string]struct{ session, lines, body string }{
		"app":    {asksApp, "", `{"user":{"id":%s}}`},
		"issuer": {asksIssuer, "any_audience", `{"active":true,"sub":%s}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTold(t, c.session, c.lines, people...)
			for _, p := range people {
				for _, value := range []string{p.Identifier, `"` + p.Identifier + `"`} {
					a.says(http.StatusOK, "application/json", fmt.Sprintf(c.body, value))
					got := a.ask(participantPath)
					if got.want(t, http.StatusOK, ""); !strings.Contains(got.body, p.ID) {
						t.Errorf("%s is somebody else: %s", value, got.body)
					}
				}
			}
		})
	}
}

// TestC4b_Nobody protects who is not signed in from an outage, and who is from
// being signed out by one: an answer is 401 or 503 as it is meant, and the log tells
// what came, at its level. (All answers: TestEndpoint and the tables of
// remote_matrix_test.go of package session; all dates: its TestC4b_Dates.)
func TestC4b_Nobody(t *testing.T) {
	a := newTold(t, asksApp, "expires expires")
	const leak = "canary-of-the-answer"
	page := "<!doctype html><title>" + leak + "</title>"
	cases := []struct {
		status     int
		kind, body string
		want       int
		cause      string
	}{
		{204, "", "", 401, "nobody is signed in (status 204)"},
		{302, "text/html", page, 401, "redirects"},
		{200, "application/json", ``, 401, "an empty answer"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":1}`, 401, "expired"},
		{200, "application/" + leak, page, 503, "status 200, a content type that is not known here"},
		{200, "application/json", `{"user":{"id":4.2}}`, 503, "number"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":"` + leak + `"}`, 503, "expires is no date"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":"next week"}`, 503, "2099-01-01T00:00:00Z"},
		{500, "text/html", page, 503, "status 500, text/html"},
	}
	for _, c := range cases {
		a.says(c.status, c.kind, c.body)
		a.ask("/who").want(t, c.want, map[int]string{401: "session_required", 503: "session_unavailable"}[c.want])
	}
	refusals := a.refusals()
	if len(refusals) != len(cases) {
		t.Fatalf("%d lines", len(refusals))
	}
	for i, c := range cases {
		want := map[int]string{401: "info session_required ", 503: "error session_unavailable "}[c.want]
		if line := refusals[i]; !strings.HasPrefix(line, want) || !strings.Contains(line, c.cause) || strings.Contains(line, leak) {
			t.Errorf("%d %s %s: %s", c.status, c.kind, c.body, line)
		}
	}
}

// TestC4c_HeaderUp protects users of an app that judges the question itself, and
// the app from clients that would judge it with.
func TestC4c_HeaderUp(t *testing.T) {
	t.Setenv("APP_KEY", "key-of-the-app")
	wants := map[string]string{
		"Host": "app.example.org", "Origin": "https://app.example.org", "Referer": "https://app.example.org/", "X-Requested-With": "XMLHttpRequest",
		"X-Forwarded-Proto": "https", "X-Api-Key": "key-of-the-app", "Accept": "application/json, text/plain",
	}
	judge := func(w http.ResponseWriter, r *http.Request) {
		for name, want := range wants {
			got := strings.Join(r.Header[name], "|")
			if name == "Host" {
				got = r.Host
			}
			if got != want {
				http.Redirect(w, r, "/login?"+name, http.StatusFound)
				return
			}
		}
		_, _ = io.WriteString(w, `{"user":{"id":"alice"},"active":true,"sub":"alice"}`)
	}
	const up = `
				header_up Host app.example.org
				header_up origin https://app.example.org
				header_up Referer https://app.example.org/
				header_up X-Requested-With XMLHttpRequest
				header_up X-Forwarded-Proto https
				header_up X-Api-Key {env.APP_KEY}
				header_up Accept "application/json, text/plain"`
	client := []string{"Origin", "http://127.0.0.1", "Referer", "https://evil.example/", "X-Requested-With", "x", "X-Api-Key", "x", "X-Forwarded-Proto", "http", "Accept", "text/html"}
	for name, c := range map[string]struct {
		session, lines string
		want           int
	}{
		"app, not told":    {asksApp, "", http.StatusUnauthorized},
		"app":              {asksApp, up, http.StatusOK},
		"issuer, not told": {asksIssuer, "any_audience", http.StatusServiceUnavailable},
		"issuer":           {asksIssuer, "any_audience" + up, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTold(t, c.session, c.lines)
			a.does(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				judge(w, r)
			})
			if got := a.do(a.with(http.MethodGet, "/who", append(client, "Authorization", "Bearer x")...)); got.StatusCode != c.want || c.want == http.StatusOK && got.body != "alice" {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
			_, text := lines(t, a.log, "")
			if strings.Contains(text, "key-of-the-app") {
				t.Error("the value of a header is in the log")
			}
		})
	}
}
