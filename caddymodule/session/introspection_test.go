// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	askedCredential = "credential-of-alice"
	askedSecret     = "secret:of/ours %"
)

func introspection(client *http.Client) *Introspection {
	return &Introspection{
		URL: testIssuer + "/introspect", ClientID: "an:id", ClientSecret: delegation.NewSecret(askedSecret),
		Realm: "people", Issuer: testIssuer, Audiences: []string{testAudience, "app2"}, Client: client,
	}
}

// silent fails if an error tells anything that is nobody's business.
func silent(t testing.TB, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, secret := range []string{askedCredential, askedSecret, "of/ours", "leak"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds %q: %v", secret, err)
			}
		}
	}
}

// outcome tells how a question ended, with a star if it was an outage.
func outcome(t testing.TB, s *Session, err error) string {
	t.Helper()
	silent(t, err)
	code := string(codeOf(t, s, err))
	if f, ok := errors.AsType[*callError](err); ok && f.verdict(delegation.AsRefusal(err)).ConcernsService() {
		code += "*"
	}
	return code
}

const (
	required    = string(delegation.SessionRequired)
	unknowable  = string(delegation.SessionUnavailable)
	nobodyKnows = unknowable + "*" // an outage
)

// TestIntrospection protects the way in: what an issuer answers lets somebody
// in only if it says so in so many words, and its trouble signs nobody out. (Values
// of each type, and all statuses: remote_matrix_test.go.)
func TestIntrospection(t *testing.T) {
	now := time.Now()
	good := func(change string) string {
		return `{"active":true,"sub":"alice","iss":"` + testIssuer + `","aud":["x","app2"],"exp":` + itoa(now.Unix()+600) + change + `}`
	}
	without := func(old, replacement string) string { return strings.Replace(good(""), old, replacement, 1) }
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
		want   string
	}{
		"good":                      {body: good(``)},
		"a parameter":               {kind: "application/json; charset=utf-8", body: good("")},
		"one audience":              {body: without(`["x","app2"]`, `"app"`)},
		"expired within the leeway": {body: without(itoa(now.Unix()+600), itoa(now.Unix()-10))},
		"no exp":                    {body: without(`"exp"`, `"x"`)},
		"a sid, nbf, numbers":       {body: good(`,"sid":"s1","nbf":` + itoa(now.Unix()) + `,"n":12345678901234567890`)},

		"not active":         {body: `{"active":false}`, want: required},
		"not active, a user": {body: without(`true`, `false`), want: required},
		"active missing":     {body: without(`"active"`, `"Active"`), want: required},
		"expired":            {body: without(itoa(now.Unix()+600), itoa(now.Unix()-31)), want: required},
		"nbf in the future":  {body: good(`,"nbf":` + itoa(now.Unix()+90)), want: required},
		"iss another":        {body: without(testIssuer, testIssuer+"/"), want: required},
		"iss missing":        {body: without(`"iss"`, `"x"`), want: required},
		"aud another":        {body: without(`app2`, `app3`), want: required},
		"aud missing":        {body: without(`"aud"`, `"audience"`), want: required},
		"sub missing":        {body: without(`"sub"`, `"x"`), want: required},
		"token unsupported":  {status: 400, body: `{"error":"unsupported_token_type","error_description":"leak"}`, want: required},
		"token malformed":    {status: 400, kind: "text/plain", body: `{"error":"invalid_request"}`, want: required},

		"sub with a line":   {body: without(`"alice"`, `"leak\nbob"`), want: unknowable},
		"sub very long":     {body: without(`alice`, strings.Repeat("a", maxSubject+1)), want: unknowable},
		"sub twice":         {body: good(`,"sub":"leak"`), want: unknowable},
		"active twice":      {body: good(`,"active":true`), want: unknowable},
		"aud holds numbers": {body: without(`"x",`, `1,`), want: unknowable},
		"a list":            {body: `[` + good("") + `]`, want: unknowable},
		"nothing":           {body: ``, want: unknowable},
		"two objects":       {body: good("") + good(""), want: unknowable},
		"cut off":           {body: good("")[:40], want: unknowable},
		"too large":         {body: good(`,"x":"` + strings.Repeat("x", maxBody) + `"`), want: unknowable},
		"HTML":              {kind: "text/html", body: `<html>leak`, want: unknowable},
		"HTML as JSON":      {body: `<html>leak`, want: unknowable},
		"JSON as HTML":      {kind: "text/html", body: good(""), want: unknowable},
		"no type":           {kind: "-", body: good(""), want: unknowable},
		"a signed answer":   {kind: "application/token-introspection+jwt", body: good(""), want: unknowable},

		"bad request":         {status: 400, body: `{"error":"leak"}`, want: unknowable},
		"bad request, a page": {status: 400, kind: "text/html", body: `<html>leak`, want: unknowable},
		"bad request, huge":   {status: 400, body: `{"x":"` + strings.Repeat("x", maxErrorBody) + `","error":"invalid_request"}`, want: unknowable},
		"bad request, a list": {status: 400, body: `{"error":["invalid_request"]}`, want: unknowable},
		"we are not known":    {status: 400, body: `{"error":"invalid_client"}`, want: nobodyKnows},
		"our secret is wrong": {status: 401, body: `{"error":"invalid_client","x":"` + askedSecret + `"}`, want: nobodyKnows},
		"we may not":          {status: 403, body: `leak`, want: unknowable},
		"its app is down":     {status: 502, body: `leak`, want: nobodyKnows},
		"it has no time":      {status: 503, body: good(""), want: nobodyKnows},
		"its app has no time": {status: 504, body: `leak`, want: nobodyKnows},
	} {
		t.Run(name, func(t *testing.T) {
			j := &fakeServer{status: c.status, kind: c.kind, body: c.body}
			before := time.Now()
			s, err := introspection(j.client()).Verify(t.Context(), bearer(askedCredential))
			if got := outcome(t, s, err); got != c.want {
				t.Fatalf("%q, want %q: %v", got, c.want, errors.Unwrap(err))
			}
			if j.count() != 1 {
				t.Errorf("%d calls", j.count())
			}
			if c.want != "" {
				return
			}
			if s.Realm != "people" || s.Subject != "alice" || s.digest != sessionDigest(askedCredential) || !s.remote || s.IssuedBefore.Before(before) || s.IssuedBefore.After(j.lastCall) {
				t.Errorf("%+v", s)
			}
			if n, ok := s.Claim("n"); ok && (n != "12345678901234567890" || s.ID != "s1") {
				t.Errorf("%q, %+v", n, s)
			}
		})
	}
}

// TestIntrospectionRealm protects subjects of one issuer from those of
// another that have the same name.
func TestIntrospectionRealm(t *testing.T) {
	for _, c := range []struct{ realm, iss, want, code string }{
		{"people", "i", "people", ""},
		{"people", "", "people", ""},
		{"", "i", "i", ""},
		{"", "", "", unknowable},
	} {
		j := &fakeServer{body: `{"active":true,"sub":"alice","iss":"` + c.iss + `"}`}
		s, err := (&Introspection{URL: testIssuer, Realm: c.realm, Client: j.client()}).Verify(t.Context(), bearer("x"))
		if got := outcome(t, s, err); got != c.code || err == nil && s.Realm != c.want {
			t.Errorf("%+v: %q, %+v", c, got, s)
		}
	}
}

// TestIntrospectionOnTheWire protects what goes out: these bytes and nothing
// else, encoded so that no secret and no token can change what they mean.
func TestIntrospectionOnTheWire(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"alice"}`)
	}))
	defer server.Close()
	i := &Introspection{URL: server.URL + "/introspect?tenant=1", ClientID: "an:id", ClientSecret: delegation.NewSecret(askedSecret), Realm: "r", Client: server.Client()}
	if _, err := i.Verify(t.Context(), Credential{Text: "a+b/c=&active=true", Source: InCookie}); err != nil {
		t.Fatal(errors.Unwrap(err))
	}
	if got.Method != http.MethodPost || got.RequestURI != "/introspect?tenant=1" {
		t.Errorf("%s %s", got.Method, got.RequestURI)
	}
	if want := "token=a%2Bb%2Fc%3D%26active%3Dtrue&token_type_hint=access_token"; string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	if id, secret, _ := got.BasicAuth(); id != "an%3Aid" || secret != "secret%3Aof%2Fours+%25" {
		t.Errorf("%q, %q", id, secret)
	}
	got.Header.Del("Authorization")
	sent(t, got.Header, http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}, "Content-Length": {itoa(int64(len(body)))},
	})
}

// sent compares headers, but for those that net/http adds.
func sent(t *testing.T, got, want http.Header) {
	t.Helper()
	got.Del("User-Agent")
	got.Del("Accept-Encoding")
	if !maps.EqualFunc(got, want, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

// TestIntrospectionOfIdleConnections protects from a 503 each time an issuer
// has closed a connection that was idle.
func TestIntrospectionOfIdleConnections(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"alice"}`)
	}))
	defer server.Close()
	i := &Introspection{URL: server.URL, Realm: "r", Client: server.Client()}
	for range 2 {
		if s, err := i.Verify(t.Context(), bearer("x")); err != nil {
			t.Errorf("%+v: %v", s, errors.Unwrap(err))
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls", calls.Load())
	}
}
