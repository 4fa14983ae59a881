// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var fieldRE = regexp.MustCompile(`(oauth_\w+)="([^"]*)"`)

// protocolOf returns the protocol parameters of a signed request.
func protocolOf(t *testing.T, req *http.Request) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, field := range fieldRE.FindAllStringSubmatch(req.Header.Get("Authorization"), -1) {
		value, err := url.PathUnescape(field[2])
		if err != nil || all[field[1]] != "" {
			t.Fatalf("%v, %s stands twice?", err, field[1])
		}
		all[field[1]] = value
	}
	for name, values := range req.URL.Query() {
		if strings.HasPrefix(name, "oauth_") {
			all[name] = strings.Join(values, " and ")
		}
	}
	return all
}

// TestSign protects data calls: all parts of a request are signed, whether the
// protocol parameters are in the header or in the query, and no two requests have one
// nonce.
func TestSign(t *testing.T) {
	for name, inQuery := range map[string]bool{"header": false, "query": true} {
		t.Run(name, func(t *testing.T) {
			client := &Client{ID: "app", Secret: secret("s"), Method: HMACSHA256, InQuery: inQuery, Clock: new(Clock)}
			token := Token{secret("t"), secret("ts")}
			signature := func(method, url, form string) string {
				t.Helper()
				req := request(t, method, url, form)
				req.Header.Set("Authorization", "Bearer of-the-client")
				if err := client.Sign(req, token, Parameter{"oauth_verifier", "v +"}); err != nil {
					t.Fatal(err)
				}
				p := protocolOf(t, req)
				got := p["oauth_signature"]
				delete(p, "oauth_signature")
				if len(p) != 7 || p["oauth_consumer_key"] != "app" || p["oauth_token"] != "t" || p["oauth_version"] != "1.0" || p["oauth_verifier"] != "v +" || len(p["oauth_nonce"]) != 26 {
					t.Fatalf("%v", p)
				}
				if header := req.Header.Get("Authorization"); inQuery && header != "" || !inQuery && !strings.HasPrefix(header, "OAuth oauth_consumer_key=") {
					t.Fatalf("Authorization is %q", header)
				}
				if query := req.URL.RawQuery; !strings.HasPrefix(query, "a=1") || !inQuery && strings.Contains(query, "oauth_") {
					t.Fatalf("the query is %q", query)
				}
				// The same parameters again have the same signature.
				again := request(t, method, url, form)
				protocol := make([]Parameter, 0, len(p))
				for name, value := range p {
					protocol = append(protocol, Parameter{name, value})
				}
				if err := client.sign(again, token.Secret, protocol); err != nil || protocolOf(t, again)["oauth_signature"] != got {
					t.Errorf("another order of parameters has another signature: %v", err)
				}
				return got
			}
			seen := make(map[string]bool)
			for range 2 {
				for _, c := range [][3]string{{"GET", "https://a.example/x?a=1", ""}, {"PUT", "https://a.example/x?a=1", ""}, {"GET", "https://a.example/y?a=1", ""}, {"GET", "https://a.example/x?a=12", ""}, {"POST", "https://a.example/x?a=1", "b=2"}, {"POST", "https://a.example/x?a=1", "b=3"}} {
					if s := signature(c[0], c[1], c[2]); seen[s] {
						t.Errorf("%v: a signature that another request has", c)
					} else {
						seen[s] = true
					}
				}
			}
		})
	}
}

// TestSignBody protects bodies that are no forms, which are not signed, and forms
// that cannot be read in one way.
func TestSignBody(t *testing.T) {
	client := &Client{ID: "app", Secret: secret("s"), Method: HMACSHA1, Clock: new(Clock)}
	protocol := []Parameter{{"oauth_nonce", "n"}}
	sign := func(kind, body string) (string, error) {
		req := request(t, "POST", "https://a.example/", "x")
		req.Header["Content-Type"] = []string{kind}
		req.GetBody = request(t, "POST", "https://a.example/", body).GetBody
		err := client.sign(req, secret(""), protocol)
		return protocolOf(t, req)["oauth_signature"], err
	}
	first, err := sign("application/json", "a=1")
	if second, err2 := sign("application/json", "a=2"); err != nil || err2 != nil || first != second {
		t.Errorf("JSON is part of the signature: %v, %v", err, err2)
	}
	if second, err := sign("APPLICATION/X-WWW-Form-Urlencoded ; charset=utf-8", "a=1"); err != nil || first == second {
		t.Errorf("a form is not part of the signature: %v", err)
	}
	for _, form := range []string{"a=%", "a%zz=1", "a=1;b=2"} {
		if _, err := sign(FormType, form); !errors.Is(err, ErrParameters) {
			t.Errorf("%s: %v", form, err)
		}
	}
	req := request(t, "POST", "https://a.example/", "a=1")
	req.GetBody = nil
	if err := client.sign(req, secret(""), protocol); err == nil {
		t.Error("a form that is streamed is signed without its fields")
	}
}
