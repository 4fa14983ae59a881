// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// FuzzSignedRequest protects people from requests that we sign and their vendor reads
// otherwise: whatever a client sends is refused, or its signature is good by other code,
// with one token, ours.
func FuzzSignedRequest(f *testing.F) {
	f.Add("/weights", "a=1&a=0&b&%C3%A4=+%20", "application/x-www-form-urlencoded", "c2&a3=2+q")
	f.Add("/%41//..", "oauth%5ftoken=x", "application/json", "{}")
	f.Add("/a;b", "a=1;oauth_token=2&%256Fauth_token", "Application/X-WWW-form-urlencoded; charset=\"", "oauth.token=1")
	f.Add("/", "a%00b=1&=&&=2", "multipart/form-data", "x")
	p := &oauth1Protocol{config: &Config{ClientID: "app", Signature: HMACSHA1}, clock: new(oauth1.Clock)}
	secret := delegation.NewSecret(canaryClient)
	p.secret.Store(&secret)
	g := &delegation.Grant{Secret: delegation.NewSecret(canaryTokenSecret), Tokens: delegation.GrantTokens{Access: delegation.NewSecret(canarySignedToken)}}
	f.Fuzz(func(t *testing.T, path, query, contentType, body string) {
		u, err := url.Parse("http://api.example/api")
		if err != nil {
			t.Fatal(err)
		}
		u.Path += "/" + path
		u.RawQuery = query
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		req.Header.Set("Content-Type", contentType)
		c, err := p.signed(g)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(req); err != nil {
			if code := delegation.AsRefusal(err).Code; code != delegation.RouteDenied && code != delegation.PathAmbiguous {
				t.Errorf("%v", delegation.Explain(err))
			}
			return
		}
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			t.Skip() // net/http does not send it either
		}
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			t.Skip()
		}
		text, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		v := &oauth1Vendor{t: t, nonces: make(map[string]bool)}
		if protocol, problem := v.verify(got, string(text)); problem != "" || protocol["oauth_token"] != canarySignedToken {
			t.Errorf("%s: %v", problem, protocol)
		}
	})
}
