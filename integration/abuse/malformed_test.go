// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT19_TwoOfAKind protects against requests that two servers read in two
// ways: what may stand once stands twice, and one of them is an attacker's.
func TestT19_TwoOfAKind(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice, bob := r.jwt("alice", nil), r.jwt("bob", nil)
	for what, lines := range map[string][]string{
		"two bearers":              {"Authorization: Bearer " + alice, "Authorization: Bearer " + bob},
		"two bearers, one folded":  {"Authorization: Bearer " + alice, "authorization: Bearer " + bob},
		"the cookie twice":         {"Cookie: __Host-session=" + alice + "; __Host-session=" + bob},
		"the cookie in two lines":  {"Cookie: __Host-session=" + alice, "Cookie: __Host-session=" + bob},
		"the cookie, and none":     {"Cookie: __Host-session=" + alice + "; __Host-session="},
		"a list in one":            {"Cookie: __Host-session=" + alice + "," + bob},
		"a bearer that is a list":  {"Authorization: Bearer " + alice + ", Bearer " + bob},
		"an odd blank in the name": {"Cookie: __Host-session=" + alice + ";\t__Host-session=" + bob},
	} {
		r.refused(what, http.StatusUnauthorized, "session_required", func() reply { return r.ask("GET", "/mdh"+apiEcho, lines...) })
		r.refused(what+", a token", http.StatusUnauthorized, "session_required", func() reply {
			return r.ask("POST", "/mdh-token", append(lines, "Content-Length: 0")...)
		})
		r.crossed(what, func() reply { return r.askHome("GET", apiEcho, lines...) })
	}
	r.served("one cookie", stack.Alice, func() reply { return r.ask("GET", "/mdh"+apiEcho, "Cookie: a=b; __Host-session="+alice) })
	// Beside a cookie the header is not read: it cannot change who it is.
	r.served("a cookie, and another's bearer", stack.Alice, func() reply {
		return r.ask("GET", "/mdh"+apiEcho, "Authorization: Bearer "+bob, "Cookie: __Host-session="+alice)
	})
}

// TestT19_UnreadableLines protects against the same by lines that are folded
// or end early (RFC 9112 sections 5.2 and 2.2): behind them stands a header
// that one server sees and the other does not.
func TestT19_UnreadableLines(t *testing.T) {
	r := start(t, caddyfile("", site("forward_headers X-Note"), passing))
	alice := r.cookie("alice")
	host := r.authority(false)
	get := "GET /mdh" + apiEcho + " HTTP/1.1\r\n"
	for what, request := range map[string]string{
		"two hosts":               http1("GET", "/mdh"+apiEcho, host, alice, "Host: evil.example"),
		"the same host twice":     http1("GET", "/mdh"+apiEcho, host, alice, "Host: "+host),
		"no host":                 get + alice + "\r\n\r\n",
		"a host with a path":      http1("GET", "/mdh"+apiEcho, host+"/evil", alice),
		"a host with a user":      http1("GET", "/mdh"+apiEcho, "evil@"+host, alice),
		"NUL in a value":          http1("GET", "/mdh"+apiEcho, host, alice, "X-Note: a\x00b"),
		"NUL in the cookie":       http1("GET", "/mdh"+apiEcho, host, alice+"\x00; x=y"),
		"CR alone in a value":     http1("GET", "/mdh"+apiEcho, host, alice, "X-Note: a\rX-Study: 7"),
		"DEL in a value":          http1("GET", "/mdh"+apiEcho, host, alice, "X-Note: a\x7fb"),
		"a folded first line":     get + " X-Note: a\r\nHost: " + host + "\r\n" + alice + "\r\n\r\n",
		"NUL in the target":       http1("GET", "/mdh"+apiEcho+"\x00", host, alice),
		"a blank in the target":   http1("GET", "/mdh"+apiEcho+" /x", host, alice),
		"another version":         strings.Replace(http1("GET", "/mdh"+apiEcho, host, alice), "HTTP/1.1", "HTTP/1.10", 1),
		"another protocol":        strings.Replace(http1("GET", "/mdh"+apiEcho, host, alice), "HTTP/1.1", "ICAP/1.0", 1),
		"CR LF inside the method": "G\r\nET /mdh" + apiEcho + " HTTP/1.1\r\nHost: " + host + "\r\n" + alice + "\r\n\r\n",
	} {
		r.malformed(what, func() reply { return r.send(request) })
	}
	// A folded value is one value, with a blank for the fold.
	record := r.served("folded", stack.Alice, func() reply {
		return r.ask("GET", "/mdh"+apiEcho, alice, "X-Note: a\r\n Authorization: Bearer forged\r\n\tX-Participant-Id: "+stack.Bob.ID)
	})
	if got := record.Header["X-Note"]; len(got) != 1 || record.Header.Get("X-Participant-Id") != "" {
		t.Errorf("folded: %q, %v", got, record.Header)
	}
	// A line feed alone ends a line, for us as for the server behind.
	record = r.served("LF alone", stack.Alice, func() reply {
		return r.ask("GET", "/mdh"+apiEcho, alice, "X-Note: a\nX-Participant-Id: "+stack.Bob.ID)
	})
	if got := record.Header["X-Note"]; !slices.Equal(got, []string{"a"}) || record.Header.Get("X-Participant-Id") != "" {
		t.Errorf("LF alone: %q, %v", got, record.Header)
	}
}

// TestT19_TwoLengths protects against request smuggling: a body of two
// lengths, whose rest is another request to the server behind, on the
// connection that the next user's request takes.
func TestT19_TwoLengths(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	hidden := "DELETE /api/v1/delegated/devicedata/1 HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(lines ...string) string {
		return http1("POST", "/mdh"+apiEcho, r.authority(false), append(lines, alice, "Content-Type: text/plain")...)
	}
	for what, request := range map[string]string{
		"two lengths":              post("Content-Length: 3", "Content-Length: 60") + "abc" + hidden,
		"a list of lengths":        post("Content-Length: 3, 60") + "abc" + hidden,
		"a negative length":        post("Content-Length: -1") + hidden,
		"a signed length":          post("Content-Length: +3") + "abc" + hidden,
		"a length with a blank":    post("Content-Length: 3 0") + "abc" + hidden,
		"an unknown coding":        post("Transfer-Encoding: xchunked", "Content-Length: 3") + "abc" + hidden,
		"chunked twice":            post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden,
		"chunked not last":         post("Transfer-Encoding: chunked, identity") + "0\r\n\r\n" + hidden,
		"a VT before chunked":      post("Transfer-Encoding: \vchunked", "Content-Length: 3") + "abc" + hidden,
		"a blank before the colon": post("Transfer-Encoding : chunked", "Content-Length: 3") + "abc" + hidden,
	} {
		r.malformed(what, func() reply { return r.send(request) })
	}
	// A length beside chunks does not count (RFC 9112 section 6.3): what the
	// platform reads is the chunks, and nothing after them is a request.
	record := r.served("a length beside chunks", stack.Alice, func() reply {
		return r.send(post("Content-Length: 64", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + hidden)
	})
	if record.BodySize != 3 || record.Header.Get("Content-Length") != "" {
		t.Errorf("%d bytes, Content-Length %q", record.BodySize, record.Header.Get("Content-Length"))
	}
	for _, record := range r.Platform.Records() {
		if record.Method == http.MethodDelete {
			t.Error("the hidden request reached the platform")
		}
	}
	r.served("a body of one length", stack.Alice, func() reply { return r.post("/mdh"+apiEcho, "abc", alice, "Content-Type: text/plain") })
}
