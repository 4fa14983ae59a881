// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRedeem protects the exchange: the platform gets the one-time token with our
// client and secret, and nothing that the browser has chosen besides.
func TestRedeem(t *testing.T) {
	for name, test := range map[string]struct {
		change      func(*Config)
		token       string
		contentType string
		want        map[string]string
	}{
		"json": {nil, "specialToken", "application/json", map[string]string{"specialToken": canarySpecial, "clientId": "app", "clientSecret": canarySecret}},
		"form": {func(c *Config) { c.Body = BodyForm }, "specialToken", "application/x-www-form-urlencoded", map[string]string{"specialToken": canarySpecial, "clientId": "app", "clientSecret": canarySecret}},
		"fields that are allowed": {
			func(c *Config) { c.Redeem = []string{"humanId"} }, "specialToken", "application/json",
			map[string]string{"specialToken": canarySpecial, "humanId": "of-the-page", "clientId": "app", "clientSecret": canarySecret},
		},
		"v1": {
			func(c *Config) { c.Preset, c.Names.Account = HumanConnectV1, "humanId" }, "sessionToken", "application/json",
			map[string]string{"sessionToken": canarySpecial, "humanId": "of-the-page", "clientId": "app", "clientSecret": canarySecret},
		},
		"other words": {
			func(c *Config) { c.Names = Names{Token: "public_token", Client: "client_id", Secret: "secret"} }, "public_token", "application/json",
			map[string]string{"public_token": canarySpecial, "client_id": "app", "secret": canarySecret},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, test.change)
			r.answerWith(replies(map[string]any{r.config.Names.Account: "account-1", r.config.Names.Client: "app"}))
			result, err := r.redeemHanded(url.Values{
				test.token: {canarySpecial}, "humanId": {"of-the-page"}, "clientId": {"of-the-page"}, "clientUserId": {"of-the-page"}, "clientSecret": {"of-the-page"}, "admin": {"1"},
			})
			if err != nil {
				t.Fatal(delegation.Explain(err))
			}
			if result.Account != "account-1" || fmt.Sprint(result.Reply) != "map[publicToken:"+canaryPublic+"]" {
				t.Errorf("account %q, reply %v", result.Account, result.Reply)
			}
			g := &delegation.Grant{Account: result.Account, Secret: result.Secret}
			if token, err := decodeGrant(g); err != nil || token.access.Reveal() != canaryAccess || token.public != canaryPublic {
				t.Errorf("what is kept is %+v, %v", token, err)
			}
			calls := r.asked()
			if len(calls) != 1 || calls[0].method != http.MethodPost || calls[0].path != "/tokens" || calls[0].contentType != test.contentType {
				t.Fatalf("the platform got %+v", calls)
			}
			if fmt.Sprint(calls[0].fields) != fmt.Sprint(test.want) {
				t.Errorf("the platform got %v, want %v", calls[0].fields, test.want)
			}
			clean(t, fmt.Sprintf("%+v %v", result.Secret, r.logs.All()))
		})
	}
}

// TestOneTimeToken protects the platform, which is asked only with what may be a
// token.
func TestOneTimeToken(t *testing.T) {
	r := newRig(t, nil)
	for name, handed := range map[string]url.Values{
		"none":              {},
		"of another name":   {"sessionToken": {canarySpecial}},
		"empty":             {"specialToken": {""}},
		"two":               {"specialToken": {canarySpecial, canarySpecial}},
		"a megabyte":        {"specialToken": {strings.Repeat("a", 1<<20)}},
		"a line break":      {"specialToken": {"a\r\nb"}},
		"a zero byte":       {"specialToken": {"a\x00"}},
		"no UTF-8":          {"specialToken": {"\xff"}},
		"one more than may": {"specialToken": {strings.Repeat("a", maxToken+1)}},
	} {
		_, err := r.redeemHanded(handed)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		refused(t, err, delegation.TokenRejected, "specialToken")
	}
	if calls := r.asked(); len(calls) > 0 {
		t.Errorf("the platform was asked %d times", len(calls))
	}
	if _, err := r.redeemHanded(url.Values{"specialToken": {strings.Repeat("a", maxToken)}}); err != nil {
		t.Error(err)
	}
	r.config.Redeem = []string{"humanId"}
	_, err := r.redeemHanded(url.Values{"specialToken": {canarySpecial}, "humanId": {"a", "b"}})
	refused(t, err, delegation.TokenRejected, "humanId stands more than once")
}

// TestOutcomes protects people from a wrong last word: each answer of the platform
// with what it means for the token, and what the operator is told. The body repeats
// the secrets, and none of it is told.
func TestOutcomes(t *testing.T) {
	const jsonType, html = "application/json", "text/html"
	echo := fmt.Sprintf(`{"message":"no: %s %s"}`, canarySecret, canarySpecial)
	word := func(word string) string { return `{"error":"` + word + `","sent":"` + canarySecret + `"}` }
	for _, test := range []struct {
		status      int
		contentType string
		body        string
		code        delegation.Code
		words       string
	}{
		{400, jsonType, echo, delegation.TokenRejected, "exchange_url: status 400"},
		{400, jsonType, "", delegation.TokenRejected, "status 400"},
		{400, jsonType, word("invalid_client"), delegation.CredentialsRejected, "status 400 invalid_client"},
		{400, jsonType, word("unauthorized_client"), delegation.CredentialsRejected, "unauthorized_client"},
		{400, jsonType, word("server_error"), delegation.IssuerUnavailable, "server_error"},
		{400, jsonType, word(canarySecret), delegation.TokenRejected, "status 400"},
		{400, html, "<html>" + canarySecret, delegation.IssuerUnavailable, "a page that is no answer: check the address"},
		{401, jsonType, echo, delegation.CredentialsRejected, "status 401: check client_id and client_secret"},
		{401, jsonType, word("invalid_grant"), delegation.TokenRejected, "status 401 invalid_grant"},
		{401, jsonType, word("invalid_token"), delegation.TokenRejected, "invalid_token"},
		{403, jsonType, echo, delegation.CredentialsRejected, "status 403: check client_id and client_secret"},
		{403, jsonType, word("access_denied"), delegation.ConsentDenied, "access_denied"},
		{404, jsonType, echo, delegation.TokenRejected, "status 404"},
		{404, "text/plain", "not found", delegation.IssuerUnavailable, "status 404: check the address"},
		{404, html, "<html>", delegation.IssuerUnavailable, "check the address"},
		{405, jsonType, echo, delegation.IssuerUnavailable, "status 405: check the address"},
		{409, jsonType, echo, delegation.TokenRejected, "status 409"},
		{410, jsonType, echo, delegation.TokenRejected, "status 410"},
		{415, jsonType, echo, delegation.IssuerUnavailable, "body json or form?"},
		{422, jsonType, echo, delegation.TokenRejected, "status 422"},
		{422, jsonType, strings.Repeat(" ", maxAnswer+1), delegation.IssuerUnavailable, "no answer"},
		{429, jsonType, echo, delegation.IssuerThrottled, "status 429"},
		{500, jsonType, echo, delegation.IssuerUnavailable, "status 500"},
		{503, html, "<html>", delegation.IssuerUnavailable, "status 503"},
		{302, html, "", delegation.IssuerUnavailable, "status 302: check the address"},
		{307, jsonType, echo, delegation.IssuerUnavailable, "status 307: check the address"},
		{200, html, "<html>" + canarySecret, delegation.IssuerUnavailable, "the answer is a page, not JSON"},
		{200, jsonType, word("invalid_grant"), delegation.IssuerUnavailable, "a successful answer has the member error"},
		{200, jsonType, `{"errors":["` + canarySecret + `"]}`, delegation.IssuerUnavailable, "the member errors"},
		{200, jsonType, `{"UserCode":"a","UserCode":"b","accessToken":"` + canaryAccess + `"}`, delegation.IssuerUnavailable, "it has a name twice"},
		{200, jsonType, `{"UserCode":"a"} {}`, delegation.IssuerUnavailable, "something follows"},
		{200, jsonType, `["` + canarySecret + `"]`, delegation.IssuerUnavailable, "it is no JSON object"},
		{200, jsonType, "null", delegation.IssuerUnavailable, "it is no JSON object"},
		{200, jsonType, strings.Repeat(" ", maxAnswer+1), delegation.IssuerUnavailable, "larger than"},
		{204, "", "", delegation.IssuerUnavailable, "it is no JSON object"},
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.words), func(t *testing.T) {
			r := newRig(t, nil)
			r.answerWith(func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "/elsewhere")
				answers(test.status, test.contentType, test.body)(w, req)
			})
			_, err := r.redeem()
			refused(t, err, test.code, test.words)
			if after := delegation.AsRefusal(err).RetryAfter; test.status/100 != 2 && after.Seconds() != 7 {
				t.Errorf("retry after %s", after)
			}
			if calls := r.asked(); len(calls) != 1 {
				t.Errorf("the platform was asked %d times", len(calls))
			}
		})
	}
}

// TestNoAnswer protects the secret, which the errors of net/http do not show, and
// who tries again: what was not sent is told from what may have been.
func TestNoAnswer(t *testing.T) {
	r := newRig(t, nil)
	r.answerWith(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := r.redeem()
	refused(t, err, delegation.IssuerUnavailable, "exchange_url: it closed the connection")
	if strings.Contains(delegation.Explain(err), delegation.ErrNotSent.Error()) {
		t.Error("it was sent")
	}
	r.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"UserCode":`)
	})
	_, err = r.redeem()
	refused(t, err, delegation.IssuerUnavailable, "exchange_url: ")
	server := httptest.NewServer(http.NotFoundHandler())
	r.config.ExchangeURL = server.URL
	server.Close()
	_, err = r.redeem()
	refused(t, err, delegation.IssuerUnavailable, "it does not accept connections")
	refused(t, err, delegation.IssuerUnavailable, delegation.ErrNotSent.Error())
}
