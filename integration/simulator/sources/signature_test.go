// SPDX-License-Identifier: Apache-2.0

package sources

import "testing"

// The vectors of RFC 5849 section 1.2.
func TestSignatureVectors(t *testing.T) {
	client := []parameter{{"oauth_consumer_key", "dpf43f3p2l4k3l03"}, {"oauth_signature_method", "HMAC-SHA1"}}
	for name, tt := range map[string]struct {
		method, address, tokenSecret, want string
		more                               []parameter
	}{
		"request token": {
			"POST", "https://photos.example.net/initiate", "", "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
			[]parameter{{"realm", "Photos"}, {"oauth_timestamp", "137131200"}, {"oauth_nonce", "wIjqoS"}, {"oauth_callback", "http://printer.example.com/ready"}},
		},
		"access token": {
			"POST", "https://photos.example.net/token", "hdhd0244k9j7ao03", "gKgrFCywp7rO0OXSjdot/IHF7IU=",
			[]parameter{{"oauth_token", "hh5s93j4hdidpola"}, {"oauth_timestamp", "137131201"}, {"oauth_nonce", "walatlh"}, {"oauth_verifier", "hfdp7dh39dks9884"}},
		},
		"data": {
			"GET", "http://photos.example.net/photos", "pfkkdhi9sl3r4s00", "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
			[]parameter{{"oauth_token", "nnch734d00sl2jdk"}, {"oauth_timestamp", "137131202"}, {"oauth_nonce", "chapoH"}, {"file", "vacation.jpg"}, {"size", "original"}},
		},
		"default port, upper case": {
			"get", "HTTP://Photos.example.net:80/photos", "pfkkdhi9sl3r4s00", "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
			[]parameter{{"oauth_token", "nnch734d00sl2jdk"}, {"oauth_timestamp", "137131202"}, {"oauth_nonce", "chapoH"}, {"file", "vacation.jpg"}, {"size", "original"}},
		},
	} {
		base := signatureBase(tt.method, tt.address, append(tt.more, client...))
		if got := sign("HMAC-SHA1", base, "kd94hf93k423kf44", tt.tokenSecret); got != tt.want {
			t.Errorf("%s: %s, want %s, of %s", name, got, tt.want, base)
		}
	}
}

// The base string of RFC 5849 section 3.4.1.1, whose parameters are in the query, the
// body and the header, some twice, some empty.
func TestSignatureBase(t *testing.T) {
	query, err1 := parseForm("b5=%3D%253D&a3=a&c%40=&a2=r%20b")
	body, err2 := parseForm("c2&a3=2+q")
	header, err3 := parseAuthorization(`realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1", ` +
		`oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"`)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D" +
		"%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201" +
		"%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := signatureBase("POST", "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", append(append(query, body...), header...)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := percent("~*' ü/"); got != "~%2A%27%20%C3%BC%2F" {
		t.Errorf("percent: %s", got)
	}
}
