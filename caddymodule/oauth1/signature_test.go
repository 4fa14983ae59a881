// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func secret(text string) delegation.Secret { return delegation.NewSecret(text) }

func request(t *testing.T, method, url, form string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", FormType)
	} else {
		req.Body = http.NoBody
	}
	return req
}

// TestVectors protects every request: the three signatures of RFC 5849 section 1.2.
func TestVectors(t *testing.T) {
	client := &Client{ID: "dpf43f3p2l4k3l03", Secret: secret("kd94hf93k423kf44"), Method: HMACSHA1}
	for want, c := range map[string]struct {
		method, url, secret string
		protocol            []Parameter
	}{
		"74KNZJeDHnMBp0EMJ9ZHt/XKycU=": {"POST", "https://photos.example.net/initiate", "", []Parameter{
			{"oauth_timestamp", "137131200"}, {"oauth_nonce", "wIjqoS"}, {"oauth_callback", "http://printer.example.com/ready"},
		}},
		"gKgrFCywp7rO0OXSjdot/IHF7IU=": {"POST", "https://photos.example.net/token", "hdhd0244k9j7ao03", []Parameter{
			{"oauth_token", "hh5s93j4hdidpola"}, {"oauth_timestamp", "137131201"}, {"oauth_nonce", "walatlh"}, {"oauth_verifier", "hfdp7dh39dks9884"},
		}},
		"MdpQcU8iPSUjWoN/UDMsK2sui9I=": {"GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", "pfkkdhi9sl3r4s00", []Parameter{
			{"oauth_token", "nnch734d00sl2jdk"}, {"oauth_timestamp", "137131202"}, {"oauth_nonce", "chapoH"},
		}},
	} {
		req := request(t, c.method, c.url, "")
		protocol := append([]Parameter{{"oauth_consumer_key", client.ID}, {"oauth_signature_method", "HMAC-SHA1"}}, c.protocol...)
		if err := client.sign(req, secret(c.secret), protocol); err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, `, oauth_signature="`+encode(want)+`"`) {
			t.Errorf("%s %s\n%s\nwant %s", c.method, c.url, got, want)
		}
	}
}

// TestBaseString protects requests whose parameters stand twice, have no value, or
// are in a form: the example of RFC 5849 section 3.4.1.
func TestBaseString(t *testing.T) {
	req := request(t, "post", "http://EXAMPLE.COM/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", "c2&a3=2+q")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	query, err := ParseParameters(req.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	form, err := readForm(req)
	if err != nil {
		t.Fatal(err)
	}
	all := append(append(query, form...),
		Parameter{"oauth_consumer_key", "9djdj82h48djs9d2"}, Parameter{"oauth_token", "kkk9d7dh3k39sjv7"}, Parameter{"oauth_signature_method", "HMAC-SHA1"},
		Parameter{"oauth_timestamp", "137131201"}, Parameter{"oauth_nonce", "7d8f3e4a"})
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := baseString(req, all); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestBaseURI protects requests whose host, port or path can be written in several
// ways: those of RFC 5849 section 3.4.1.2, and that of a proxy, which dials another
// address than it names.
func TestBaseURI(t *testing.T) {
	for url, want := range map[string]string{
		"http://EXAMPLE.COM:80/r%20v/X?id=123": "http://example.com/r%20v/X",
		"https://www.example.net:8080/?q=1":    "https://www.example.net:8080/",
		"https://example.net:443/a%2Fb":        "https://example.net/a%2Fb",
		"https://example.net:80/a":             "https://example.net:80/a",
		"HTTP://example.net:443/a":             "http://example.net:443/a",
		"https://[2001:DB8::1]:443/":           "https://[2001:db8::1]/",
		"https://example.net":                  "https://example.net/",
	} {
		if got := baseURI(request(t, "GET", url, "")); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	req := request(t, "GET", "https://192.0.2.1:443/a", "")
	req.Host = "api.example.net"
	if got := baseURI(req); got != "https://api.example.net/a" {
		t.Errorf("of a request with another Host: %s", got)
	}
}

// TestHMACSHA256 protects the sources that take SHA-256. No RFC has a vector, so the
// signature is that of openssl dgst -sha256 -hmac 'a%20b&s%26t'.
func TestHMACSHA256(t *testing.T) {
	if got, want := HMACSHA256.sign("GET&https%3A%2F%2Fapi.example%2F&a%3D1", secret("a b"), secret("s&t")), "9XAApCY5E0uxBfQha+8c4HfXvrx1zRjJB4S0fn9O2A4="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
