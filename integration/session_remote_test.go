// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC4_NumericUsers protects users of apps that count them: a whole number is
// the subject, to the last digit, and what is none is nobody's.
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
			before := a.stack.Platform.Counts()
			odd := []string{`true`, `["42"]`, `[42]`, `{"a":42}`, `42.5`, `42.0`, `4.2e1`, `-42`}
			for _, value := range odd {
				a.says(http.StatusOK, "application/json", fmt.Sprintf(c.body, value))
				a.ask(participantPath).want(t, http.StatusServiceUnavailable, "session_unavailable")
			}
			for _, value := range []string{`0`, `null`, `false`, `""`} {
				a.says(http.StatusOK, "application/json", fmt.Sprintf(c.body, value))
				a.ask(participantPath).want(t, http.StatusUnauthorized, "session_required")
			}
			if got := a.stack.Platform.Counts(); got != before {
				t.Errorf("the platform was asked: %+v, before %+v", got, before)
			}
			for i, line := range a.refusals() {
				if i < len(odd) && (!strings.HasPrefix(line, "error session_unavailable") || !strings.Contains(line, "number")) || i >= len(odd) && !strings.HasPrefix(line, "info session_required") {
					t.Errorf("%d: %s", i, line)
				}
			}
		})
	}
}

// TestC4b_Nobody protects who is not signed in from an outage, and who is from
// being signed out by one: each answer is 401 or 503 as it is meant, and the log
// tells what came.
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
		{401, "text/html", page, 401, "nobody is signed in (status 401)"},
		{403, "application/json", `{}`, 401, "nobody is signed in (status 403)"},
		{404, "text/html", page, 401, "nobody is signed in (status 404)"},
		{419, "text/html", page, 401, "nobody is signed in (status 419)"},
		{302, "text/html", page, 401, "redirects"},
		{200, "application/json", ``, 401, "an empty answer"},
		{200, "application/json", `null`, 401, "null"},
		{200, "application/json", `false`, 401, "false"},
		{200, "application/json", `{}`, 401, "no user.id"},
		{200, "application/json", `{"user":null}`, 401, "no user.id"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":1}`, 401, "expired"},
		{200, "text/html; charset=utf-8", page, 503, "status 200, text/html"},
		{200, "application/" + leak, page, 503, "status 200, a content type that is not known here"},
		{200, "application/json", `{"user":{"id":"` + leak, 503, "status 200, application/json"},
		{200, "application/json", `true`, 503, "status 200, application/json"},
		{200, "application/json", `[]`, 503, "status 200, application/json"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":"` + leak + `"}`, 503, "expires is no date"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":"next week"}`, 503, "2099-01-01T00:00:00Z"},
		{200, "application/json", `{"user":{"id":"alice"},"expires":[1]}`, 503, "expires is neither"},
		{301, "text/html", page, 503, "status 301, text/html"},
		{400, "application/problem+json", `{}`, 503, "status 400, application/problem+json"},
		{500, "text/html", page, 503, "status 500, text/html"},
	}
	for _, c := range cases {
		a.says(c.status, c.kind, c.body)
		a.ask("/who").want(t, c.want, map[int]string{401: "session_required", 503: "session_unavailable"}[c.want])
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, expires := range []string{
		fmt.Sprint(tomorrow.Unix()), fmt.Sprint(tomorrow.UnixMilli()), fmt.Sprintf("%q", fmt.Sprint(tomorrow.Unix())), `"2099-01-01 00:00:00"`, `"2099-01-01T00:00:00.000Z"`, `null`,
	} {
		a.says(http.StatusOK, "application/json", `{"user":{"id":"alice"},"expires":`+expires+`}`)
		if got := a.ask("/who"); got.StatusCode != http.StatusOK || got.body != "alice" {
			t.Errorf("expires %s: %d %s", expires, got.StatusCode, got.body)
		}
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

// TestC19_LargeAnswers protects users with a picture and many groups, and memory
// from an app that never ends.
func TestC19_LargeAnswers(t *testing.T) {
	picture := `"avatar":"data:image/png;base64,` + strings.Repeat("A", 400<<10) + `"`
	for name, c := range map[string]struct{ session, lines, body string }{
		"app":    {asksApp, "", `{"user":{` + picture + `,"id":"alice"}}`},
		"issuer": {asksIssuer, "any_audience", `{"active":true,` + picture + `,"sub":"alice"}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTold(t, c.session, c.lines)
			a.says(http.StatusOK, "application/json", c.body)
			got := a.ask(participantPath)
			if got.want(t, http.StatusOK, ""); !strings.Contains(got.body, stack.Alice.ID) {
				t.Errorf("somebody else: %s", got.body)
			}
			a.does(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, c.body[:len(c.body)-1])
				for {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			})
			a.ask("/who").want(t, http.StatusServiceUnavailable, "session_unavailable")
			if all := a.refusals(); len(all) != 1 || !strings.Contains(all[0], "larger than 1048576 bytes") {
				t.Errorf("%q", all)
			}
		})
	}
}
