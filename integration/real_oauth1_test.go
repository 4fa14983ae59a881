// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// TestOAuth1Signatures protects people's sources from signatures that only our own code
// finds good: those of npm's oauth-1.0a are the same, for every place of a parameter
// and every way of writing one.
func TestOAuth1Signatures(t *testing.T) {
	vendor := newProduct(t, "oauth1.mjs", nil)
	const form = "application/x-www-form-urlencoded"
	send := func(c *oauth1.Client, token oauth1.Token, method, path, kind, body string, change func(*http.Request)) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, vendor.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		if err := c.Sign(req, token, oauth1.Parameter{Name: "oauth_verifier", Value: "a b+c%~*'()!"}); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(req)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	person := oauth1.Token{Value: delegation.NewSecret("tökén/1"), Secret: delegation.NewSecret("the token's secret = 100 %")}
	for _, method := range []oauth1.Method{oauth1.HMACSHA1, oauth1.HMACSHA256} {
		for _, inQuery := range []bool{false, true} {
			c := &oauth1.Client{ID: "app+1", Secret: delegation.NewSecret("the client's secret & more"), Method: method, InQuery: inQuery, Clock: new(oauth1.Clock)}
			for _, request := range [][4]string{
				{"GET", "/", "", ""},
				{"GET", "/a%20b/%C3%A4;x=1,2/~", "", ""},
				{"GET", "/?b=2&a=1&b=1&b=10&c&d=&%C3%A4=%F0%9F%98%80", "", ""},
				{"GET", "/?q=a+b%20c%2Bd&e=!*'()~-._%25", "", ""},
				{"POST", "/?a=z", form, "a=y&a=x&b=1+2&c=%26%3D"},
				{"PUT", "/", form + "; charset=UTF-8", "%5B%5D=%0A"},
				{"POST", "/?a=1", "application/json", `{"a":"2"}`},
				{"DELETE", "/x", "", ""},
			} {
				name := fmt.Sprintf("%s, in the query %t: %q", method, inQuery, request)
				for _, token := range []oauth1.Token{{}, person} {
					if status := send(c, token, request[0], request[1], request[2], request[3], nil); status != http.StatusNoContent {
						t.Errorf("%s: status %d", name, status)
					}
				}
				if status := send(c, person, request[0], request[1], request[2], request[3], func(r *http.Request) { r.URL.RawQuery += "&z=1" }); status != http.StatusUnauthorized {
					t.Errorf("%s: altered it gets status %d", name, status)
				}
			}
		}
	}
}
