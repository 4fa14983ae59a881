// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func (i *testIssuer) exchange(t *testing.T, r Request) (*TokenResponse, error) {
	t.Helper()
	if i.status == 0 {
		i.status = http.StatusOK
	}
	c := &Client{URL: "https://issuer.example/token", HTTP: &http.Client{Transport: i, Timeout: 10 * time.Second}}
	return c.Exchange(t.Context(), r)
}

// TestExchange protects what a consent is made of: everything in the answer
// arrives, and nothing of it is printed.
func TestExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{took: time.Second, body: `{"access_token":"planted-access","refresh_token":"planted-refresh","token_type":"Bearer","expires_in":31536000,
			"scope":" a  b ","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","user_id":9007199254740993,"patient":"planted-patient","other":1,"absent":null}`}
		res, err := i.exchange(t, Request{GrantType: "authorization_code", Fields: []string{"user_id", "patient", "absent", "nowhere"}})
		if err != nil {
			t.Fatal(err)
		}
		fields := make(map[string]string)
		for name, value := range res.Fields {
			fields[name] = value.Reveal()
		}
		if res.Access.Reveal() != "planted-access" || res.Refresh.Reveal() != "planted-refresh" || res.Scope != "a b" || res.Wider ||
			res.IssuedTokenType != "urn:ietf:params:oauth:token-type:access_token" ||
			!maps.Equal(fields, map[string]string{"user_id": "9007199254740993", "patient": "planted-patient"}) {
			t.Errorf("%+v, fields %v", res, fields)
		}
		if !res.Received.Equal(time.Now()) || res.Expires.Sub(res.Received) != 365*24*time.Hour {
			t.Errorf("received %v, expires %v", res.Received, res.Expires)
		}
		text, _ := json.Marshal(res)
		if all := fmt.Sprintf("%v %+v %#v %s", res, *res, *res, text); strings.Contains(all, "planted") || strings.Contains(all, "90071992") {
			t.Errorf("printed: %s", all)
		}
	})
}

// TestExchangeSaysLittle protects the caller from guesses: what the answer does
// not say is zero.
func TestExchangeSaysLittle(t *testing.T) {
	for _, body := range []string{
		`{"access_token":"t","token_type":"bearer"}`,
		`{"access_token":"t","token_type":"bearer","expires_in":null,"refresh_token":null,"scope":null,"issued_token_type":null,"user_id":null}`,
		`{"access_token":"t","token_type":"bearer","refresh_token":"","scope":"","issued_token_type":""}`,
	} {
		res, err := (&testIssuer{body: body}).exchange(t, Request{Scopes: []string{"a"}, Fields: []string{"user_id"}})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if !res.Expires.IsZero() || res.Received.IsZero() || res.Refresh.Reveal() != "" || res.Scope != "" || res.Wider || res.IssuedTokenType != "" || len(res.Fields) != 0 {
			t.Errorf("%s: %+v", body, res)
		}
	}
}

// TestExchangeScopes protects the caller's decision: a scope that was not asked
// for is reported, and none is if the request asked for none.
func TestExchangeScopes(t *testing.T) {
	for _, c := range []struct {
		asked, granted string
		wider          bool
	}{
		{"a b", "a b", false}, {"a b", "b", false}, {"a b", "", false}, {"a b", "a c", true}, {"a b", "A", true}, {"a b", "a,b", true}, {"", "a", false},
	} {
		i := &testIssuer{body: `{"access_token":"t","token_type":"Bearer","scope":"` + c.granted + `"}`}
		res, err := i.exchange(t, Request{Scopes: strings.Fields(c.asked)})
		if err != nil || res.Wider != c.wider || res.Scope != c.granted {
			t.Errorf("asked for %q, granted %q: %+v, %v", c.asked, c.granted, res, err)
		}
	}
}

// TestExchangeRequests protects each way of authentication: no secret goes in a
// second way, and every grant type is sent as it is.
func TestExchangeRequests(t *testing.T) {
	secret := delegation.NewSecret(plantedSecret)
	for name, c := range map[string]struct {
		request Request
		form    string
		basic   bool
	}{
		"code, body": {
			Request{GrantType: "authorization_code", ClientID: "c", ClientSecret: secret, Params: url.Values{"code": {"x"}, "code_verifier": {"v"}, "redirect_uri": {"https://a.example/r"}}},
			"client_id=c&client_secret=planted-secret&code=x&code_verifier=v&grant_type=authorization_code&redirect_uri=https%3A%2F%2Fa.example%2Fr", false,
		},
		"refresh, Basic": {
			Request{GrantType: "refresh_token", ClientID: "c", ClientSecret: secret, AuthStyle: oauth2.AuthStyleInHeader, Params: url.Values{"refresh_token": {"r"}}},
			"grant_type=refresh_token&refresh_token=r", true,
		},
		"code, public client": {
			Request{GrantType: "authorization_code", ClientID: "c", Params: url.Values{"code": {"x"}}},
			"client_id=c&code=x&grant_type=authorization_code", false,
		},
		"token exchange, assertion": {
			Request{GrantType: "urn:ietf:params:oauth:grant-type:token-exchange", Scopes: []string{"a", "b"}, Params: url.Values{"client_assertion": {"j"}}},
			"client_assertion=j&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&scope=a+b", false,
		},
	} {
		i := &testIssuer{body: `{"access_token":"t","token_type":"Bearer"}`}
		if _, err := i.exchange(t, c.request); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		id, sent, basic := i.request.BasicAuth()
		if i.form.Encode() != c.form || basic != c.basic || basic && (id != "c" || sent != plantedSecret) || i.calls != 1 {
			t.Errorf("%s: form %s, basic %v, %d calls", name, i.form.Encode(), basic, i.calls)
		}
	}
}

// jsonValues are one value of each JSON type, and such as are read wrongly.
var jsonValues = map[string]string{
	"absent": "", "null": "null", "empty": `""`, "text": `"text"`, "digits": `"60"`, "number": "60", "zero": "0", "negative": "-60", "fraction": "60.5", "exponent": "6e1",
	"huge": "1" + strings.Repeat("0", 400), "huge exponent": "1e999999999", "true": "true", "false": "false", "list": `["text"]`, "object": `{"text":"text"}`,
	"long": `"` + strings.Repeat("a", 8<<10+1) + `"`, "space": `"te xt"`, "CR LF": `"te\r\nxt"`, "NUL": `"\u0000"`, "not ASCII": `"tä"`, "no character": `"\ud800"`, "not UTF-8": "\"\xff\"",
}

// TestExchangeTypes protects from an answer that another reader would take for
// something else: of each member, those of the values that are listed are
// accepted, and all others refused as an issuer's fault.
func TestExchangeTypes(t *testing.T) {
	text := map[string]string{"absent": "", "null": "", "empty": "", "text": "text", "digits": "60"}
	token := text
	anyText := maps.Clone(text)
	for _, name := range []string{"space", "CR LF", "NUL", "not ASCII", "no character", "not UTF-8", "long"} {
		anyText[name] = "*"
	}
	for member, accepted := range map[string]map[string]string{
		"access_token":      {"text": "text", "digits": "60"},
		"token_type":        {},
		"expires_in":        {"absent": "0s", "null": "0s", "number": "1m0s"},
		"refresh_token":     token,
		"scope":             anyText,
		"issued_token_type": anyText,
		"error":             {"absent": "", "null": ""},
		"user_id": {
			"absent": "", "null": "", "empty": "", "text": "text", "digits": "60", "space": "te xt", "not ASCII": "tä",
			"number": "60", "zero": "0", "negative": "-60", "fraction": "60.5", "exponent": "60", "huge": "1" + strings.Repeat("0", 400),
		},
	} {
		for name, value := range jsonValues {
			members := map[string]string{"access_token": `"t"`, "token_type": `"Bearer"`, member: value}
			var parts []string
			for key, value := range members {
				if value != "" {
					parts = append(parts, `"`+key+`":`+value)
				}
			}
			res, err := (&testIssuer{body: "{" + strings.Join(parts, ",") + "}"}).exchange(t, Request{Fields: []string{"user_id"}})
			want, ok := accepted[name]
			if !ok {
				if err == nil {
					t.Errorf("%s: %s is accepted", member, name)
				} else if e := asError(t, err); e.Kind != Unavailable || e.Refusal().Code != delegation.IssuerUnavailable {
					t.Errorf("%s: %s: %v", member, name, e)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %s: %v", member, name, err)
				continue
			}
			lifetime := time.Duration(0)
			if !res.Expires.IsZero() {
				lifetime = res.Expires.Sub(res.Received)
			}
			got := map[string]string{
				"access_token": res.Access.Reveal(), "expires_in": lifetime.String(), "refresh_token": res.Refresh.Reveal(),
				"scope": res.Scope, "issued_token_type": res.IssuedTokenType, "user_id": res.Fields["user_id"].Reveal(),
			}[member]
			if want != "*" && got != want {
				t.Errorf("%s: %s is read as %q, want %q", member, name, got, want)
			}
		}
	}
}

// TestExchangeIsStrict protects from hostile answers and from errors, as
// TestT28_HostileAnswers does for the other: no text of the answer is repeated.
func TestExchangeIsStrict(t *testing.T) {
	const rest = `"access_token":"` + plantedSecret + `","token_type":"Bearer"`
	for name, c := range map[string]struct {
		issuer testIssuer
		kind   Kind
	}{
		"refresh token twice":           {testIssuer{body: `{` + rest + `,"refresh_token":"a","refresh_token":"b"}`}, Unavailable},
		"refresh token twice by escape": {testIssuer{body: `{` + rest + `,"refresh_token":"a","\u0072efresh_token":"b"}`}, Unavailable},
		"field twice":                   {testIssuer{body: `{` + rest + `,"user_id":1,"user_id":2}`}, Unavailable},
		"too large":                     {testIssuer{body: `{` + rest + `,"pad":"` + strings.Repeat("a", maxBody) + `"}`}, Unavailable},
		"token and error":               {testIssuer{body: `{` + rest + `,"error":"invalid_grant"}`}, Unavailable},
		"form":                          {testIssuer{body: "access_token=" + plantedSecret, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, Unavailable},
		"201":                           {testIssuer{status: 201, body: `{` + rest + `}`}, Unavailable},
		"redirect":                      {testIssuer{status: 307, header: http.Header{"Location": {"https://planted.example/"}}}, Unavailable},
		"invalid_grant":                 {testIssuer{status: 400, body: `{"error":"invalid_grant","error_description":"` + plantedSecret + `"}`}, GrantRefused},
		"invalid_client":                {testIssuer{status: 401, body: `{"error":"invalid_client"}`}, ClientRejected},
		"a word of its own":             {testIssuer{status: 400, body: `{"error":"` + plantedSecret + `"}`}, GrantRefused},
		"throttled":                     {testIssuer{status: 429}, Throttled},
		"down":                          {testIssuer{status: 503, body: plantedSecret}, Unavailable},
	} {
		res, err := c.issuer.exchange(t, Request{GrantType: "refresh_token", Fields: []string{"user_id"}})
		if e := asError(t, err); e.Kind != c.kind || e.Status == 0 || res != nil || c.issuer.calls != 1 {
			t.Errorf("%s: %v, %d calls", name, e, c.issuer.calls)
		}
	}
}

// TestNumbersInFull protects accounts from each other whose numbers a float would
// make one, and one account from having two names.
func TestNumbersInFull(t *testing.T) {
	for literal, want := range map[string]string{
		"9007199254740993": "9007199254740993", "123456789012345678901234567890": "123456789012345678901234567890",
		"0": "0", "-0": "0", "1.0": "1", "1.50": "1.5", "1e3": "1000", "1E+3": "1000", "1.25e1": "12.5", "125e-2": "1.25", "1e-2": "0.01", "1e0003": "1000", "0.1": "0.1", "-12": "-12",
		"1e100": "", "1e-100": "", "true": "", "false": "", "{}": "", "[]": "",
	} {
		if got, ok := NumberText(literal); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", literal, got, ok, want)
		}
	}
}
