// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestC6_Pieces protects users with large sessions, and everybody from sessions
// that are put together of what is no whole.
func TestC6_Pieces(t *testing.T) {
	many := func(n int, piece string) string {
		var all []string
		for i := range n {
			all = append(all, "s."+itoa(int64(i))+"="+piece)
		}
		return strings.Join(all, "; ")
	}
	for name, c := range map[string]struct {
		cookie string
		want   string
		came   string
	}{
		"two":               {"a=b; s.0=abc; s.1=def", "abcdef", "s.0=abc; s.1=def"},
		"in another order":  {"s.1=def; a=b; s.0=abc", "abcdef", "s.0=abc; s.1=def"},
		"one":               {"s.0=abc", "abc", "s.0=abc"},
		"eleven":            {many(11, "a"), strings.Repeat("a", 11), many(11, "a")},
		"quoted":            {`s.0="abc"; s.1="def"`, "abcdef", `s.0="abc"; s.1="def"`},
		"Bearer, in pieces": {`s.0="Bearer abc"; s.1=def`, "abcdef", `s.0="Bearer abc"; s.1=def`},
		"whole and pieces":  {"s.0=abc; s=whole; s.1=def", "whole", ""},
		"other names":       {"s.0=abc; s.1=def; s.x=y; s.01=z; s.+1=z; s.=z; s..2=z; t.2=z; S.2=z; s.1.2=z", "abcdef", "s.0=abc; s.1=def"},

		"the first is missing":   {"s.1=def", "", ""},
		"one between is missing": {"s.0=abc; s.2=def", "", ""},
		"one twice":              {"s.0=abc; s.1=def; s.1=def", "", ""},
		"the first twice":        {"s.0=abc; s.0=abx", "", ""},
		"all are empty":          {"s.0=; s.1=", "", ""},
		"too many":               {many(maxChunks+1, "a"), "", ""},
		"one far away":           {"s.0=abc; s.2147483647=def", "", ""},
		"too long":               {many(maxChunks, strings.Repeat("a", 4000)), "", ""},
		"a quote opens in one":   {`s.0="abc; s.1=def"`, "", ""},
		"beyond ASCII":           {"s.0=abc; s.1=\u00e9", "", ""},
		"empty whole and pieces": {"s=; s.0=abc", "", ""},
	} {
		h := http.Header{"Cookie": {c.cookie}, "Authorization": {"Bearer other"}}
		got, err := Extractor{Cookie: "s", Bearer: true}.Extract(h)
		if got != (Credential{Text: c.want, Source: got.Source, CookieHeader: c.came}) || (err == nil) != (c.want != "") || err == nil && got.Source != InCookie {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && delegation.AsRefusal(err).Code != delegation.SessionRequired {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := http.Header{"Cookie": {"__Secure-a.session-token.0=abc", "__Secure-a.session-token.1=def"}}
	if got, err := (Extractor{Cookie: "__Secure-a.session-token"}).Extract(h); err != nil || got.Text != "abcdef" {
		t.Errorf("%+v, %v", got, err)
	}
	d := newCredentialHasher()
	if d.digest(Credential{Text: "abcd", Source: InCookie, CookieHeader: "s.0=ab; s.1=cd"}) == d.digest(Credential{Text: "abcd", Source: InCookie, CookieHeader: "s.0=abc; s.1=d"}) {
		t.Error("what is cut in two ways is one session to who remembers answers, and may be two to the app")
	}
}

// TestC20_Bearer protects users of apps whose cookie holds the value of an
// Authorization header.
func TestC20_Bearer(t *testing.T) {
	for cookie, want := range map[string]string{
		`"Bearer abc.d-e_f"`:           "abc.d-e_f",
		`Bearer abc`:                   "abc",
		`"bEARER   abc"`:               "abc",
		`Bearer%20abc`:                 "abc",
		`bearer%20abc%3D%3D`:           "abc==",
		`%22Bearer%20abc%22`:           "abc",
		`Bearer+abc`:                   "abc",
		`Bearer+a%2Bb`:                 "a+b",
		`Bearer%20a+b`:                 "a+b",
		`%22Bearer+abc%22`:             "abc",
		`Bearerabc`:                    "Bearerabc",
		`Bearer.abc`:                   "Bearer.abc",
		`Bearer`:                       "Bearer",
		`Bearer%2520abc`:               "Bearer%2520abc",
		`"Bearer "`:                    "",
		`Bearer%20`:                    "",
		`Bearer%20%20`:                 "",
		`"Bearer a b"`:                 "",
		`"Bearer abc, Bearer def"`:     "",
		`Bearer%20abc%00`:              "",
		`Bearer%20abc%0D%0AX:%20y`:     "",
		`Bearer%20abc%3B%20s=def`:      "",
		`Bearer%20Bearer%20abc`:        "",
		`Basic abc`:                    "",
		`"Bearer abc`:                  "",
		"Bearer\tabc":                  "",
		`Bearer%20abc%`:                "Bearer%20abc%",
		`Bearer%20%C3%A9`:              "",
		`Bearer%20"abc"`:               "",
		`"Bearer ` + "abc\u00a0" + `"`: "",
	} {
		got, err := Extractor{Cookie: "s"}.Extract(http.Header{"Cookie": {"a=b; s=" + cookie}})
		came := ""
		if want != strings.Trim(cookie, `"`) && want != "" {
			came = "s=" + cookie
		}
		if got.Text != want || (err == nil) != (want != "") || got.CookieHeader != came {
			t.Errorf("%s: %+v, %v", cookie, got, err)
		}
	}
}

// TestC6_InJSON protects users of Supabase, whose cookie holds more than the token.
func TestC6_InJSON(t *testing.T) {
	encoded := func(text string) string { return "base64-" + base64.RawURLEncoding.EncodeToString([]byte(text)) }
	const good = `{"access_token":"abc","refresh_token":"def","user":{"id":"x\u00e9"}}`
	for cookie, want := range map[string]string{
		"s=" + encoded(good):        "abc",
		"s=" + encoded(good) + "==": "abc",
		"s.0=" + encoded(good)[:30] + "; s.1=" + encoded(good)[30:]: "abc",
		"s=" + url.PathEscape(good):                                 "abc",
		"s=" + encoded(`{"access_token":""}`):                       "",
		"s=" + encoded(`{"access_token":1}`):                        "",
		"s=" + encoded(`{"access_token":null}`):                     "",
		"s=" + encoded(`{"access_token":["a"]}`):                    "",
		"s=" + encoded(`{"access_token":"a b"}`):                    "",
		"s=" + encoded(`{"access_token":"a","access_token":"b"}`):   "",
		"s=" + encoded(`["abc"]`):                                   "",
		"s=" + encoded(`{}`):                                        "",
		"s=" + encoded(good)[:20]:                                   "",
		"s=base64-%%%":                                              "",
		"s=%7B%":                                                    "",
		"s=abc":                                                     "",
		"s.1=" + encoded(good):                                      "",
		"s=" + encoded(strings.Repeat("[", 1<<12)):                  "",
		"s=base64-" + strings.Repeat("A", 2*maxCredential):          "",
	} {
		got, err := Extractor{Cookie: "s", JSONPath: "access_token"}.Extract(http.Header{"Cookie": {cookie}})
		if got.Text != want || (err == nil) != (want != "") || got.CookieHeader != "" {
			t.Errorf("%.80s: %+v, %v", cookie, got, err)
		}
		if err != nil {
			silent(t, err)
		}
	}
}
