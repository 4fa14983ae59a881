// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const plantedSecret = "planted-secret"

// testIssuer answers every request the same way.
type testIssuer struct {
	status  int
	header  http.Header
	body    string
	err     error
	took    time.Duration // before the answer
	request *http.Request
	form    url.Values
	calls   int
}

func (i *testIssuer) RoundTrip(req *http.Request) (*http.Response, error) {
	i.calls++
	i.request = req
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if i.form, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	if i.took > 0 {
		select {
		case <-time.After(i.took):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if i.err != nil {
		return nil, i.err
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	maps.Copy(header, i.header)
	return &http.Response{
		StatusCode: i.status, Status: fmt.Sprint(i.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(i.body)), Request: req,
	}, nil
}

func (i *testIssuer) requestToken(t *testing.T) (*delegation.Token, error) {
	t.Helper()
	c := &Client{URL: "https://issuer.example/token", HTTP: &http.Client{Transport: i, Timeout: 10 * time.Second}}
	return c.Token(t.Context(), Request{
		GrantType: "delegated_participant",
		ClientID:  "client", ClientSecret: delegation.NewSecret(plantedSecret),
		Scopes: []string{"Participant:read", "SurveyAnswers:read"},
		Params: url.Values{"participant_id": {"planted-person"}, "token": {plantedSecret}},
	})
}

func goodResponse(change string) string {
	return `{"access_token":"0123456789abcdef0123456789abcdef","token_type":"bearer","expires_in":3600` + change + `}`
}

// What is sent is what the platform documents: once, in the form, with no
// second way of authentication beside it.
func TestTokenRequest(t *testing.T) {
	i := &testIssuer{status: 200, body: goodResponse("")}
	token, err := i.requestToken(t)
	if err != nil {
		t.Fatal(err)
	}
	if token.Access.Reveal() != "0123456789abcdef0123456789abcdef" || token.Lifetime() != time.Hour || token.Scope != "Participant:read SurveyAnswers:read" {
		t.Errorf("token of %v for %q", token.Lifetime(), token.Scope)
	}
	want := url.Values{
		"grant_type": {"delegated_participant"}, "client_id": {"client"}, "client_secret": {plantedSecret},
		"scope": {"Participant:read SurveyAnswers:read"}, "participant_id": {"planted-person"}, "token": {plantedSecret},
	}
	if i.form.Encode() != want.Encode() {
		t.Errorf("form %v", i.form)
	}
	if i.calls != 1 || i.request.Method != http.MethodPost || i.request.URL.String() != "https://issuer.example/token" {
		t.Errorf("%d calls, last %s %s", i.calls, i.request.Method, i.request.URL)
	}
	if h := i.request.Header; h.Get("Authorization") != "" || h.Get("Accept") != "application/json" || h.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("header %v", h)
	}
}

// A client that authenticates by assertion or HTTP Basic must not show its
// secret in the form as well.
func TestTokenRequestAuthStyles(t *testing.T) {
	i := &testIssuer{status: 200, body: goodResponse("")}
	c := &Client{URL: "https://issuer.example/token", HTTP: &http.Client{Transport: i}}
	if _, err := c.Token(t.Context(), Request{Scopes: []string{"api"}, Params: url.Values{"client_assertion": {"x"}}}); err != nil {
		t.Fatal(err)
	}
	if i.form.Encode() != "client_assertion=x&grant_type=client_credentials&scope=api" {
		t.Errorf("form %v", i.form)
	}
	if _, err := c.Token(t.Context(), Request{ClientID: "client", ClientSecret: delegation.NewSecret(plantedSecret), AuthStyle: oauth2.AuthStyleInHeader}); err != nil {
		t.Fatal(err)
	}
	if id, secret, ok := i.request.BasicAuth(); !ok || id != "client" || secret != plantedSecret || i.form.Has("client_secret") {
		t.Errorf("basic %v %q, form %v", ok, id, i.form)
	}
}

// The lifetime counts from the moment of the answer, not of the question.
func TestTokenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{status: 200, body: goodResponse(""), took: 3 * time.Second}
		begin := time.Now()
		token, err := i.requestToken(t)
		if err != nil {
			t.Fatal(err)
		}
		if token.Minted.Sub(begin) != 3*time.Second || token.Expires.Sub(token.Minted) != time.Hour {
			t.Errorf("minted after %v for %v", token.Minted.Sub(begin), token.Lifetime())
		}
	})
}

// An issuer may grant less than was asked for and a lifetime is never believed
// beyond a month.
func TestTokenAnswers(t *testing.T) {
	const rest = `"access_token":"t","token_type":"Bearer"`
	for name, c := range map[string]struct {
		body     string
		scope    string
		lifetime time.Duration
	}{
		"same scope, other order": {goodResponse(`,"scope":"SurveyAnswers:read  Participant:read"`), "SurveyAnswers:read Participant:read", time.Hour},
		"narrower scope":          {goodResponse(`,"scope":"Participant:read"`), "Participant:read", time.Hour},
		"empty scope":             {goodResponse(`,"scope":""`), "Participant:read SurveyAnswers:read", time.Hour},
		"null scope":              {goodResponse(`,"scope":null`), "Participant:read SurveyAnswers:read", time.Hour},
		"further keys":            {goodResponse(`,"id_token":null,"x":{"access_token":1,"access_token":2}`), "Participant:read SurveyAnswers:read", time.Hour},
		"white space after it":    {goodResponse("") + "\r\n\t ", "Participant:read SurveyAnswers:read", time.Hour},
		"one second":              {`{` + rest + `,"expires_in":1}`, "Participant:read SurveyAnswers:read", time.Second},
		"a year":                  {`{` + rest + `,"expires_in":31536000}`, "Participant:read SurveyAnswers:read", 30 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := (&testIssuer{status: 200, body: c.body}).requestToken(t)
			if err != nil {
				t.Fatal(err)
			}
			if token.Scope != c.scope || token.Lifetime() != c.lifetime {
				t.Errorf("scope %q for %v", token.Scope, token.Lifetime())
			}
		})
	}
}

// A hostile or broken 200 must yield no token, no text of the answer in the
// error, and the verdict that the issuer is at fault.
func TestT28_HostileAnswers(t *testing.T) {
	const rest = `"access_token":"` + plantedSecret + `","token_type":"Bearer"`
	full := `{` + rest + `,"expires_in":3600}`
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, i := range map[string]*testIssuer{
		"HTML":                   {body: "<html>" + plantedSecret, header: http.Header{"Content-Type": {"text/html"}}},
		"HTML called JSON":       {body: "<html>" + plantedSecret},
		"JSON called HTML":       {body: full, header: http.Header{"Content-Type": {"text/html"}}},
		"no type":                {body: full, header: http.Header{"Content-Type": nil}},
		"form":                   {body: "access_token=" + plantedSecret + "&token_type=Bearer&expires_in=3600", header: form},
		"empty":                  {body: ""},
		"null":                   {body: "null"},
		"list":                   {body: "[" + full + "]"},
		"string":                 {body: `"` + plantedSecret + `"`},
		"cut off":                {body: full[:len(full)-1]},
		"trailing garbage":       {body: full + plantedSecret},
		"second object":          {body: full + full},
		"1 MB":                   {body: `{` + rest + `,"expires_in":3600,"pad":"` + strings.Repeat("a", 1<<20) + `"}`},
		"space over the limit":   {body: full + strings.Repeat(" ", maxBody)},
		"no token":               {body: `{"token_type":"Bearer","expires_in":3600}`},
		"empty token":            {body: `{"access_token":"","token_type":"Bearer","expires_in":3600}`},
		"token is a number":      {body: `{"access_token":1,"token_type":"Bearer","expires_in":3600}`},
		"CR LF in token":         {body: `{"access_token":"` + plantedSecret + `\r\nX-Injected: 1","token_type":"Bearer","expires_in":3600}`},
		"NUL in token":           {body: `{"access_token":"` + plantedSecret + `\u0000","token_type":"Bearer","expires_in":3600}`},
		"space in token":         {body: `{"access_token":"` + plantedSecret + ` x","token_type":"Bearer","expires_in":3600}`},
		"not ASCII in token":     {body: `{"access_token":"` + plantedSecret + `é","token_type":"Bearer","expires_in":3600}`},
		"9 KiB token":            {body: `{"access_token":"` + strings.Repeat("a", 9<<10) + `","token_type":"Bearer","expires_in":3600}`},
		"no token_type":          {body: `{"access_token":"` + plantedSecret + `","expires_in":3600}`},
		"token_type mac":         {body: `{"access_token":"` + plantedSecret + `","token_type":"mac","expires_in":3600}`},
		"token_type DPoP":        {body: `{"access_token":"` + plantedSecret + `","token_type":"DPoP","expires_in":3600}`},
		"no expires_in":          {body: `{` + rest + `}`},
		"expires_in null":        {body: `{` + rest + `,"expires_in":null}`},
		"expires_in 0":           {body: `{` + rest + `,"expires_in":0}`},
		"expires_in negative":    {body: `{` + rest + `,"expires_in":-3600}`},
		"expires_in string":      {body: `{` + rest + `,"expires_in":"3600"}`},
		"expires_in 1e18":        {body: `{` + rest + `,"expires_in":1e18}`},
		"expires_in 10^18":       {body: `{` + rest + `,"expires_in":1000000000000000000}`},
		"expires_in 10^30":       {body: `{` + rest + `,"expires_in":1000000000000000000000000000000}`},
		"expires_in NaN":         {body: `{` + rest + `,"expires_in":NaN}`},
		"expires_in fraction":    {body: `{` + rest + `,"expires_in":0.5}`},
		"expires_in true":        {body: `{` + rest + `,"expires_in":true}`},
		"key twice":              {body: `{"access_token":"other",` + rest + `,"expires_in":3600}`},
		"key twice by escape":    {body: `{"\u0061ccess_token":"other",` + rest + `,"expires_in":3600}`},
		"key in other case only": {body: `{"Access_Token":"` + plantedSecret + `","token_type":"Bearer","expires_in":3600}`},
		"key folded only":        {body: `{"acceſs_token":"` + plantedSecret + `","token_type":"Bearer","expires_in":3600}`},
		"wider scope":            {body: `{` + rest + `,"expires_in":3600,"scope":"Participant:read ` + plantedSecret + `"}`},
		"scope is a list":        {body: `{` + rest + `,"expires_in":3600,"scope":["Participant:read"]}`},
		"token and error":        {body: `{` + rest + `,"expires_in":3600,"error":"invalid_grant"}`},
		"error in 200":           {body: `{"error":"invalid_grant","error_description":"` + plantedSecret + `"}`},
		"deep":                   {body: `{"x":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`},
		"201":                    {status: 201, body: full},
		"204":                    {status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			if i.status == 0 {
				i.status = 200
			}
			_, err := i.requestToken(t)
			e := asError(t, err)
			if e.Kind != Unavailable || e.Refusal().Code != delegation.IssuerUnavailable {
				t.Errorf("%v, refusal %v", e, e.Refusal())
			}
			if i.calls != 1 {
				t.Errorf("asked %d times", i.calls)
			}
		})
	}
}

// CVE-2025-22868: a JWT of thousands of dots was split into thousands of
// strings. A token is opaque here, and costs no more than its bytes.
func TestT30_Dots(t *testing.T) {
	for name, n := range map[string]int{"as long as a token may be": maxAccessToken, "too long": maxAccessToken + 1, "as long as an answer may be": maxBody - 64} {
		dots := []byte(`{"access_token":"` + strings.Repeat(".", n) + `","token_type":"Bearer","expires_in":60}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parseTokenResponse(dots, nil)
		runtime.ReadMemStats(&after)
		if (err == nil) != (n <= maxAccessToken) {
			t.Errorf("%s: %v", name, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(8*len(dots)) {
			t.Errorf("%s: %d bytes for %d", name, cost, len(dots))
		}
	}
	if _, err := parseTokenResponse([]byte(`{"access_token":"`+strings.Repeat(".", maxBody)), nil); err == nil {
		t.Error("an answer without an end is taken")
	}
}

// asError also checks that nothing planted is in the text.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *Error: %v", err, err)
	}
	for _, s := range []string{e.Error(), fmt.Sprintf("%v %+v", err, err), fmt.Sprint(errors.Unwrap(e.Refusal()))} {
		if strings.Contains(s, "planted") {
			t.Errorf("%q repeats the answer or the request", s)
		}
	}
	if _, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		t.Error("the error holds x/oauth2's, which prints the body")
	}
	return e
}

// The kind decides who is told that it is their trouble: one participant, the
// operator, or everybody for a moment.
func TestTokenErrors(t *testing.T) {
	body := func(code string) string {
		return `{"error":"` + code + `","error_description":"planted ` + plantedSecret + `"}`
	}
	html := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		issuer testIssuer
		kind   Kind
		code   string
		refuse delegation.Code
	}{
		"invalid_client 400":   {testIssuer{status: 400, body: body("invalid_client")}, ClientRejected, "invalid_client", delegation.CredentialsRejected},
		"invalid_client 401":   {testIssuer{status: 401, body: body("invalid_client")}, ClientRejected, "invalid_client", delegation.CredentialsRejected},
		"unauthorized_client":  {testIssuer{status: 400, body: body("unauthorized_client")}, ClientRejected, "unauthorized_client", delegation.CredentialsRejected},
		"invalid_scope":        {testIssuer{status: 400, body: body("invalid_scope")}, ScopeRejected, "invalid_scope", delegation.ScopeRejected},
		"invalid_grant 400":    {testIssuer{status: 400, body: body("invalid_grant")}, GrantRefused, "invalid_grant", delegation.DelegationRefused},
		"invalid_grant 401":    {testIssuer{status: 401, body: body("invalid_grant")}, GrantRefused, "invalid_grant", delegation.DelegationRefused},
		"access_denied 403":    {testIssuer{status: 403, body: body("access_denied")}, GrantRefused, "access_denied", delegation.DelegationRefused},
		"own word 400":         {testIssuer{status: 400, body: body("planted_code")}, GrantRefused, "", delegation.DelegationRefused},
		"own word 401":         {testIssuer{status: 401, body: body("planted_code")}, ClientRejected, "", delegation.CredentialsRejected},
		"own word 404":         {testIssuer{status: 404, body: body("planted_code")}, Unavailable, "", delegation.IssuerUnavailable},
		"unsupported grant":    {testIssuer{status: 400, body: body("unsupported_grant_type")}, RequestUnsupported, "unsupported_grant_type", delegation.CredentialsRejected},
		"invalid_request":      {testIssuer{status: 400, body: body("invalid_request")}, RequestUnsupported, "invalid_request", delegation.CredentialsRejected},
		"temporarily":          {testIssuer{status: 400, body: body("temporarily_unavailable")}, Unavailable, "temporarily_unavailable", delegation.IssuerUnavailable},
		"429":                  {testIssuer{status: 429, body: plantedSecret, header: html}, Throttled, "", delegation.IssuerThrottled},
		"500 with client code": {testIssuer{status: 500, body: body("invalid_client")}, Unavailable, "", delegation.IssuerUnavailable},
		"502 HTML":             {testIssuer{status: 502, body: plantedSecret, header: html}, Unavailable, "", delegation.IssuerUnavailable},
		"400 HTML":             {testIssuer{status: 400, body: plantedSecret, header: html}, Unavailable, "", delegation.IssuerUnavailable},
		"400 empty":            {testIssuer{status: 400}, Unavailable, "", delegation.IssuerUnavailable},
		"400 code twice":       {testIssuer{status: 400, body: `{"error":"invalid_grant","error":"invalid_client"}`}, Unavailable, "", delegation.IssuerUnavailable},
		"400 code no string":   {testIssuer{status: 400, body: `{"error":{"planted":1}}`}, Unavailable, "", delegation.IssuerUnavailable},
		"307":                  {testIssuer{status: 307, header: http.Header{"Location": {"https://planted.example/"}}}, Unavailable, "", delegation.IssuerUnavailable},
		"303":                  {testIssuer{status: 303, header: http.Header{"Location": {"/planted"}}}, Unavailable, "", delegation.IssuerUnavailable},
		"broken connection":    {testIssuer{err: errors.New("malformed HTTP response " + plantedSecret)}, Unavailable, "", delegation.IssuerUnavailable},
		"unknown host":         {testIssuer{err: &net.DNSError{Err: "no such host", Name: "planted.example"}}, Unavailable, "", delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.issuer.requestToken(t)
			e := asError(t, err)
			if e.Kind != c.kind || e.Code != c.code || e.Status != c.issuer.status || e.Refusal().Code != c.refuse {
				t.Errorf("%q: code %q, status %d, refusal %v", e.Kind, e.Code, e.Status, e.Refusal())
			}
			if c.issuer.calls != 1 {
				t.Errorf("asked %d times: a redirect or retry carries the secret on", c.issuer.calls)
			}
		})
	}
}

// An issuer that is slow to answer, or drips its body, ends by the timeout.
func TestTokenTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{took: time.Hour}
		begin := time.Now()
		_, err := i.requestToken(t)
		if e := asError(t, err); e.Kind != Unavailable || !strings.Contains(e.Error(), "in time") {
			t.Errorf("%v", e)
		}
		if waited := time.Since(begin); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// Retry-After may be seconds or a date, past or absurd; without it the
// platform's RateLimit-Reset counts.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":         {http.Header{}, 0},
		"seconds":      {http.Header{"Retry-After": {"17"}}, 17 * time.Second},
		"zero":         {http.Header{"Retry-After": {"0"}}, 0},
		"date":         {http.Header{"Retry-After": {date(90 * time.Second)}}, 90 * time.Second},
		"past":         {http.Header{"Retry-After": {date(-time.Hour)}}, 0},
		"1e9":          {http.Header{"Retry-After": {"1000000000"}}, time.Hour},
		"beyond int64": {http.Header{"Retry-After": {strings.Repeat("9", 40)}}, time.Hour},
		"far date":     {http.Header{"Retry-After": {date(9000 * time.Hour)}}, time.Hour},
		"negative":     {http.Header{"Retry-After": {"-5"}}, 0},
		"garbage":      {http.Header{"Retry-After": {"soon"}, "Ratelimit-Reset": {"30"}}, 30 * time.Second},
		"reset":        {http.Header{"Ratelimit-Reset": {"1800"}}, 30 * time.Minute},
		"both":         {http.Header{"Retry-After": {"5"}, "Ratelimit-Reset": {"1800"}}, 5 * time.Second},
	} {
		if got := RetryAfter(c.header, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{status: 429, header: http.Header{"Retry-After": {"17"}}}
		_, err := i.requestToken(t)
		if e := asError(t, err); e.RetryAfter != 17*time.Second || e.Refusal().RetryAfter != 17*time.Second {
			t.Errorf("%v, %v", e.RetryAfter, e.Refusal().RetryAfter)
		}
	})
}

// A clock that is off makes every assertion invalid, which looks like a wrong
// key: only then, and only then, is it mentioned.
func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			off    time.Duration
			code   string
			says   string
			silent bool
		}{
			{5 * time.Minute, "invalid_client", "5m0s behind the issuer's", false},
			{-5 * time.Minute, "invalid_client", "5m0s ahead of the issuer's", false},
			{20 * time.Second, "invalid_client", "", true},
			{5 * time.Minute, "invalid_grant", "", true},
		} {
			i := &testIssuer{status: 400, body: `{"error":"` + c.code + `"}`, header: http.Header{"Date": {time.Now().Add(c.off).UTC().Format(http.TimeFormat)}}}
			_, err := i.requestToken(t)
			e := asError(t, err)
			if e.Skew != c.off {
				t.Errorf("skew %v, want %v", e.Skew, c.off)
			}
			if strings.Contains(e.Error(), "clock") == c.silent || !strings.Contains(e.Error(), c.says) {
				t.Errorf("%v by %v: %q", c.code, c.off, e)
			}
		}
		i := &testIssuer{status: 400, body: `{"error":"invalid_client"}`}
		_, err := i.requestToken(t)
		if e := asError(t, err); e.Skew != 0 {
			t.Errorf("skew %v without a Date", e.Skew)
		}
	})
}

// Over a real connection: a gzip bomb is counted unpacked, and a redirect with
// 307 does not take the form to another address.
func TestTokenOverHTTP(t *testing.T) {
	var elsewhere int
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bomb", func(w http.ResponseWriter, _ *http.Request) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, `{"access_token":"`+strings.Repeat("a", 8<<20)+`"}`)
		_ = z.Close()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	mux.HandleFunc("POST /gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, goodResponse(""))
		_ = z.Close()
	})
	mux.HandleFunc("POST /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { elsewhere++ })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	ask := func(path string) error {
		c := &Client{URL: srv.URL + path, HTTP: new(delegation.HTTP).Client()}
		_, err := c.Token(t.Context(), Request{ClientSecret: delegation.NewSecret(plantedSecret)})
		return err
	}
	if err := ask("/gzip"); err != nil {
		t.Errorf("a compressed answer: %v", err)
	}
	if e := asError(t, ask("/bomb")); !strings.Contains(e.Error(), "too large") {
		t.Errorf("bomb: %v", e)
	}
	if e := asError(t, ask("/away")); e.Status != http.StatusTemporaryRedirect || elsewhere != 0 || !strings.Contains(e.Error(), "redirects") {
		t.Errorf("redirect: %v, followed %d times", e, elsewhere)
	}
	srv.Close()
	if e := asError(t, ask("/gzip")); e.Kind != Unavailable || !strings.Contains(e.Error(), "does not accept connections") {
		t.Errorf("closed: %v", e)
	}
}

// Who is told that the certificate is the trouble can mend it.
func TestUnreachableCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c := &Client{URL: srv.URL, HTTP: new(delegation.HTTP).Client()}
	_, err := c.Token(t.Context(), Request{})
	if e := asError(t, err); !strings.Contains(e.Error(), "ca_file") {
		t.Errorf("%v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Token(ctx, Request{})
	if e := asError(t, err); !strings.Contains(e.Error(), "cancelled") {
		t.Errorf("%v", e)
	}
}
