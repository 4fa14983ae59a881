// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestFind protects from requests that two parties read differently: which
// session counts is never a matter of order.
func TestFind(t *testing.T) {
	both := Extractor{Cookie: "__Host-session", Bearer: true}
	for name, c := range map[string]struct {
		carrier Extractor
		header  http.Header
		want    string
		slot    Source
	}{
		"cookie":             {both, http.Header{"Cookie": {"a=b; __Host-session=abc; c=d"}}, "abc", InCookie},
		"no blank":           {both, http.Header{"Cookie": {"a=b;__Host-session=abc;c=d"}}, "abc", InCookie},
		"quoted":             {both, http.Header{"Cookie": {`__Host-session="abc"`}}, "abc", InCookie},
		"crumbs":             {both, http.Header{"Cookie": {"a=b", "__Host-session=abc"}}, "abc", InCookie},
		"value with =":       {both, http.Header{"Cookie": {"__Host-session=abc=="}}, "abc==", InCookie},
		"bearer":             {both, http.Header{"Authorization": {"Bearer abc"}}, "abc", InBearer},
		"bearer, other case": {both, http.Header{"Authorization": {"bEARER  abc"}}, "abc", InBearer},
		"cookie first":       {both, http.Header{"Cookie": {"__Host-session=abc"}, "Authorization": {"Bearer def"}}, "abc", InCookie},

		"nothing":                      {both, http.Header{}, "", 0},
		"twice":                        {both, http.Header{"Cookie": {"__Host-session=abc; __Host-session=abc"}}, "", 0},
		"twice in crumbs":              {both, http.Header{"Cookie": {"__Host-session=abc", "__Host-session=def"}}, "", 0},
		"twice, one malformed":         {both, http.Header{"Cookie": {`__Host-session=abc; __Host-session=d"ef`}}, "", 0},
		"twice, and a bearer":          {both, http.Header{"Cookie": {"__Host-session=a; __Host-session=b"}, "Authorization": {"Bearer def"}}, "", 0},
		"empty cookie and bearer":      {both, http.Header{"Cookie": {"__Host-session="}, "Authorization": {"Bearer def"}}, "", 0},
		"other name":                   {both, http.Header{"Cookie": {"__host-session=abc"}}, "", 0},
		"name with a blank of its own": {both, http.Header{"Cookie": {"\u2000__Host-session=abc"}}, "", 0},
		"comma":                        {both, http.Header{"Cookie": {"__Host-session=abc,def"}}, "", 0},
		"control":                      {both, http.Header{"Cookie": {"__Host-session=a\x00b"}}, "", 0},
		"beyond ASCII":                 {both, http.Header{"Cookie": {"__Host-session=äbc"}}, "", 0},
		"too long":                     {both, http.Header{"Cookie": {"__Host-session=" + strings.Repeat("a", maxCredential+1)}}, "", 0},
		// With 3001 cookies net/http sees none.
		"as many cookies as are read":          {both, http.Header{"Cookie": {"__Host-session=abc" + strings.Repeat(";", 2999)}}, "abc", InCookie},
		"more cookies than are read":           {both, http.Header{"Cookie": {"__Host-session=abc" + strings.Repeat(";", 3000)}}, "", 0},
		"more in crumbs":                       {both, http.Header{"Cookie": {"__Host-session=abc" + strings.Repeat(";", 2999), "a=b"}}, "", 0},
		"more than are read, none the session": {both, http.Header{"Cookie": {strings.Repeat(";", 3000)}, "Authorization": {"Bearer def"}}, "", 0},
		"two bearers":                          {both, http.Header{"Authorization": {"Bearer abc", "Bearer abc"}}, "", 0},
		"two bearers in one":                   {both, http.Header{"Authorization": {"Bearer abc, Bearer def"}}, "", 0},
		"Basic":                                {both, http.Header{"Authorization": {"Basic abc"}}, "", 0},
		"Bearer alone":                         {both, http.Header{"Authorization": {"Bearer"}}, "", 0},
		"bearer where none counts":             {Extractor{Cookie: "s"}, http.Header{"Authorization": {"Bearer abc"}}, "", 0},
		"cookie where none counts":             {Extractor{Bearer: true}, http.Header{"Cookie": {"s=abc"}}, "", 0},
	} {
		got, err := c.carrier.Extract(c.header)
		if got != (Credential{Text: c.want, Source: c.slot}) || (err == nil) != (c.want != "") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && delegation.AsRefusal(err).Code != delegation.SessionRequired {
			t.Errorf("%s: %v", name, err)
		}
	}
}
