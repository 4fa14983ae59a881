// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT19_CookieCrumbs protects against a session that an attacker's subdomain
// has added to the user's: HTTP/2 sends cookies in crumbs (RFC 9113 section
// 8.2.3), and of two one server takes the first, another the last.
func TestT19_CookieCrumbs(t *testing.T) {
	r := start(t, encrypted(caddyfile("", site(""), passing)))
	alice, bob := r.jwt("alice", nil), r.jwt("bob", nil)
	for what, crumbs := range map[string][]field{
		"two sessions":          {{"cookie", "__Host-session=" + alice}, {"cookie", "__Host-session=" + bob}},
		"the other first":       {{"cookie", "__Host-session=" + bob}, {"cookie", "__Host-session=" + alice}},
		"among others":          {{"cookie", "a=b"}, {"cookie", "__Host-session=" + alice}, {"cookie", "c=d; __Host-session=" + bob}},
		"an empty one":          {{"cookie", "__Host-session=" + alice}, {"cookie", "__Host-session"}},
		"two bearers":           {{"authorization", "Bearer " + alice}, {"authorization", "Bearer " + bob}},
		"a crumb in the middle": {{"cookie", "__Host-session=" + alice[:20]}, {"cookie", alice[20:]}},
	} {
		r.refused(what, http.StatusUnauthorized, "session_required", func() reply { return r.send2(r.http2Request("GET", "/mdh"+apiEcho, crumbs...), "") })
		r.refused(what+", a token", http.StatusUnauthorized, "session_required", func() reply { return r.send2(r.http2Request("POST", "/mdh-token", crumbs...), "") })
	}
	r.served("one session in crumbs", stack.Alice, func() reply {
		return r.send2(r.http2Request("GET", "/mdh"+apiEcho, field{"cookie", "a=b"}, field{"cookie", "__Host-session=" + alice}, field{"cookie", "c=d"}), "")
	})
	record := r.crossed("two sessions", func() reply {
		fields := r.http2Request("GET", apiEcho, field{"cookie", "__Host-session=" + alice}, field{"cookie", "__Host-session=" + bob})
		fields[2].value = r.authority(true)
		return r.send2(fields, "")
	})
	if record.Header.Get("Cookie") != "__Host-session="+alice+"; __Host-session="+bob {
		t.Errorf("control: %q", record.Header["Cookie"])
	}
}

// TestT19_FieldsOverHTTP2 protects against what no HTTP/1.1 line can hold:
// over HTTP/2 names and values are binary, and turn into lines, or another
// request, where a server writes them down as HTTP/1.1.
func TestT19_FieldsOverHTTP2(t *testing.T) {
	r := start(t, encrypted(caddyfile("", site("forward_headers X-Note"), passing)))
	cookie := field{"cookie", "__Host-session=" + r.jwt("alice", nil)}
	host := "localhost:" + strconv.Itoa(r.Port)
	get := func(more ...field) []field { return r.http2Request("GET", "/mdh"+apiEcho, append(more, cookie)...) }
	with := func(i int, value string) []field {
		fields := get()
		fields[i].value = value
		return fields
	}
	for what, fields := range map[string][]field{
		"CR LF in a value":          get(field{"x-note", "a\r\nAuthorization: Bearer forged"}),
		"LF in a value":             get(field{"x-note", "a\nx-participant-id: " + stack.Bob.ID}),
		"NUL in a value":            get(field{"x-note", "a\x00b"}),
		"CR LF in a name":           get(field{"x-note: a\r\nauthorization", "Bearer forged"}),
		"a colon in a name":         get(field{"x-note: a", "b"}),
		"a blank in a name":         get(field{"x-note ", "a"}),
		"an upper-case name":        get(field{"Authorization", "Bearer forged"}),
		"an empty name":             get(field{"", "a"}),
		"transfer-encoding":         get(field{"transfer-encoding", "chunked"}),
		"te: gzip":                  get(field{"te", "gzip, trailers"}),
		"upgrade":                   get(field{"upgrade", "websocket"}),
		"another host":              get(field{"host", "evil.example"}),
		"two hosts":                 get(field{"host", host}, field{"host", "evil.example"}),
		"two methods":               append([]field{{":method", "DELETE"}}, get()...),
		"two paths":                 append([]field{{":path", "/mdh" + apiParticipant}}, get()...),
		"two authorities":           append([]field{{":authority", "evil.example"}}, get()...),
		"an unknown pseudo header":  append([]field{{":participant", stack.Bob.ID}}, get()...),
		"a pseudo header too late":  append(get(), field{":path", "/mdh" + apiParticipant}),
		"a :status":                 append([]field{{":status", "200"}}, get()...),
		"an upper-case :method":     append([]field{{":METHOD", "DELETE"}}, get()...),
		"an empty path":             with(3, ""),
		"a path without a slash":    with(3, "mdh"+apiEcho),
		"CR LF in the path":         with(3, "/mdh"+apiEcho+" HTTP/1.1\r\nX-Note: a"),
		"NUL in the path":           with(3, "/mdh"+apiEcho+"\x00"),
		"a blank in the query":      with(3, "/mdh"+apiEcho+"?a=b c"),
		"CR LF in the method":       with(0, "GET /x HTTP/1.1\r\nX-Note: a"),
		"a blank in the method":     with(0, "GET /x"),
		"an empty method":           with(0, ""),
		"CR LF in the authority":    with(2, host+"\r\nX-Note: a"),
		"a user in the authority":   with(2, "evil.example@"+host),
		"a path in the authority":   with(2, host+"/evil"),
		"another authority":         with(2, "evil.example"),
		"no method":                 get()[1:],
		"a scheme with a line feed": with(1, "https\nx-note: a"),
	} {
		r.untouched(what, func() {
			// Caddy answers 200 for a site it does not know, with nothing.
			got := r.send2(fields, "")
			if got.status == http.StatusOK && got.body != "" || got.status/100 == 3 || got.status/100 == 5 {
				t.Errorf("%s: %d %s; want it refused", what, got.status, got.body)
			}
		})
	}
	// These have one reading alone, which is sent.
	record := r.served("a length, and no body", stack.Alice, func() reply { return r.send2(get(field{"content-length", "7"}), "") })
	if record.BodySize != 0 || record.Header.Get("Content-Length") != "" {
		t.Errorf("a length, and no body: %v", record.Header)
	}
	if record = r.served("a blank in the path", stack.Alice, func() reply { return r.send2(with(3, "/mdh"+apiEcho+" x"), "") }); record.URI != apiEcho+"%20x" {
		t.Errorf("a blank in the path: %q", record.URI)
	}
	r.served("none of them", stack.Alice, func() reply { return r.send2(get(field{"x-note", "a"}, field{"te", "trailers"}), "") })
	// Now that there is a token, a body that is not as long as it says.
	post := func(length string) []field {
		return r.http2Request("POST", "/mdh"+apiEcho, cookie, field{"content-type", "text/plain"}, field{"content-length", length})
	}
	for _, length := range []string{"64", "4", "2", "1"} {
		r.malformed("a length of "+length, func() reply { return r.send2(post(length), "abc") })
	}
	if record = r.served("a length of 3", stack.Alice, func() reply { return r.send2(post("3"), "abc") }); record.BodySize != 3 {
		t.Errorf("a length of 3: %d bytes", record.BodySize)
	}
}
