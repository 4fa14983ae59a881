// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func appEndpoint(client *http.Client) *Endpoint {
	return &Endpoint{URL: "https://app.example.org/me", Cookie: "__Host-session", Subject: "user.id", Expires: "expires", Realm: "app", Client: client}
}

// TestEndpoint protects the way in: only an app that names a user has one
// signed in, and an app in trouble signs nobody out. (Values of each type, and all
// statuses: remote_matrix_test.go.)
func TestEndpoint(t *testing.T) {
	now := time.Now()
	until := func(what string) string {
		return `{"user":{"id":"alice","mail":"a@example.org"},"expires":` + what + `}`
	}
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
		want   string
	}{
		"a number":             {body: until(itoa(now.Unix() + 600))},
		"a date":               {body: until(`"` + now.Add(time.Hour).Format(time.RFC3339) + `"`)},
		"a date as of scripts": {body: until(`"2999-01-02T03:04:05.678Z"`)},
		"no end":               {body: until(`null`)},
		"another type":         {kind: "text/plain", body: until(`null`)},
		"in milliseconds":      {body: until(itoa(now.UnixMilli() + 600_000))},
		"a number in quotes":   {body: until(`"` + itoa(now.Unix()+600) + `"`)},
		"a date of a database": {body: until(`"2099-01-01 00:00:00"`)},
		"large":                {body: until(`null`)[:1] + `"avatar":"` + strings.Repeat("x", 300<<10) + `",` + until(`null`)[1:]},
		"within the leeway":    {body: until(itoa(now.Unix() - 10))},

		"expired":      {body: until(itoa(now.Unix() - 31)), want: required},
		"expired date": {body: until(`"2001-02-03T04:05:06Z"`), want: required},
		"no id":        {body: `{"user":{"ID":"alice"}}`, want: required},
		"false":        {body: " false\n", want: required},
		"nothing":      {body: " \r\n", want: required},

		"id 1.0":             {body: `{"user":{"id":1.0}}`, want: unknowable},
		"id -0":              {body: `{"user":{"id":-0}}`, want: unknowable},
		"id of 2000 digits":  {body: `{"user":{"id":1` + strings.Repeat("0", 2000) + `}}`, want: unknowable},
		"id with NUL":        {body: `{"user":{"id":"leak\u0000"}}`, want: unknowable},
		"id twice":           {body: `{"user":{"id":"alice","id":"leak"}}`, want: unknowable},
		"end no date":        {body: until(`"leak"`), want: unknowable},
		"end the year 1":     {body: until(`"0001-01-01T00:00:00Z"`), want: unknowable},
		"end in nanoseconds": {body: until(itoa(now.UnixNano())), want: unknowable},
		"cut off":            {body: until(`null`)[:20], want: unknowable},
		"HTML":               {kind: "text/html", body: `<html>leak`, want: unknowable},
		"too large":          {body: until(`"` + strings.Repeat("x", maxBody) + `"`), want: unknowable},
		"down":               {status: 503, body: until(`null`), want: nobodyKnows},
	} {
		t.Run(name, func(t *testing.T) {
			j := &fakeServer{status: c.status, kind: c.kind, body: c.body}
			before := time.Now()
			s, err := appEndpoint(j.client()).Verify(t.Context(), Credential{Text: askedCredential, Source: InCookie})
			if got := outcome(t, s, err); got != c.want {
				t.Fatalf("%q, want %q: %v", got, c.want, errors.Unwrap(err))
			}
			if j.count() != 1 {
				t.Errorf("%d calls", j.count())
			}
			if c.want != "" {
				return
			}
			if s.Realm != "app" || s.Subject != "alice" || s.digest != sessionDigest(askedCredential) || !s.remote || s.IssuedBefore.Before(before) || s.IssuedBefore.After(j.lastCall) {
				t.Errorf("%+v", s)
			}
			if mail, _ := s.Claim("user.mail"); mail != "a@example.org" {
				t.Errorf("%q", mail)
			}
			if s.Expires.IsZero() != (name == "no end" || name == "another type" || name == "large") {
				t.Errorf("ends %v", s.Expires)
			}
		})
	}
}

// TestEndpointOnTheWire protects an app from headers that a client chooses, and
// a session from going anywhere else.
func TestEndpointOnTheWire(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		http.SetCookie(w, &http.Cookie{Name: "of", Value: "somebody"})
		_, _ = io.WriteString(w, `{"sub":"alice"}`)
	}))
	defer server.Close()
	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	address, _ := url.Parse(server.URL)
	client.Jar.SetCookies(address, []*http.Cookie{{Name: "other", Value: "user"}})
	e := &Endpoint{URL: server.URL + "/me", Cookie: "__Host-session", Realm: "app", Client: client}
	for slot, want := range map[Source]http.Header{
		InCookie: {"Accept": {"application/json"}, "Cookie": {"__Host-session=a=b+c"}},
		InBearer: {"Accept": {"application/json"}, "Authorization": {"Bearer a=b+c"}},
	} {
		for range 2 {
			if _, err := e.Verify(t.Context(), Credential{Text: "a=b+c", Source: slot}); err != nil {
				t.Fatal(errors.Unwrap(err))
			}
			if got.Method != http.MethodGet || got.RequestURI != "/me" || got.ContentLength != 0 {
				t.Errorf("%s %s", got.Method, got.RequestURI)
			}
			sent(t, got.Header, want)
		}
	}
	got = nil
	for name, e := range map[string]*Endpoint{
		"no cookie to send": {URL: server.URL, Realm: "app", Client: client},
		"no realm":          {URL: server.URL, Cookie: "c", Client: client},
	} {
		s, err := e.Verify(t.Context(), Credential{Text: "x", Source: InCookie})
		if code := outcome(t, s, err); code != unknowable || got != nil {
			t.Errorf("%s: %q", name, code)
		}
	}
}

// TestRedirects protects sessions and secrets from being sent to where an
// answer points, by a client that would follow.
func TestRedirects(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed = true
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"mallory"}`)
	}))
	defer other.Close()
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) }))
	defer server.Close()
	for _, status = range []int{301, 302, 303, 307, 308} {
		for _, v := range []Verifier{
			&Introspection{URL: server.URL, Realm: "r", Client: server.Client()},
			&Endpoint{URL: server.URL, Realm: "r", Client: server.Client()},
		} {
			if s, err := v.Verify(t.Context(), bearer("x")); err == nil || followed {
				t.Errorf("%d: %+v", status, s)
			}
		}
	}
}
