// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

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
		_, err := parseTokenResponse(dots)
		runtime.ReadMemStats(&after)
		if (err == nil) != (n <= maxAccessToken) {
			t.Errorf("%s: %v", name, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(8*len(dots)) {
			t.Errorf("%s: %d bytes for %d", name, cost, len(dots))
		}
	}
	if _, err := parseTokenResponse([]byte(`{"access_token":"` + strings.Repeat(".", maxBody))); err == nil {
		t.Error("an answer without an end is taken")
	}
}
