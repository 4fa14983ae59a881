// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// fuzzed has both kinds of sign-in. A request that does not end is cut off
// soon, so that each connection ends by itself.
var fuzzed = `{` + stack.Options + `
	log {
		output discard
	}
	servers {
		timeouts {
			read_body   50ms
			read_header 50ms
			idle        50ms
		}
	}
	delegate {` + stack.Provider + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {` + appSession + `
		delegate_proxy mydatahelps
	}
	handle_path /fa/* {` + stack.SignIn + `
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
}
`

// FuzzProxy protects a whole Caddy from any bytes on the wire: whatever a
// client sends, the API is called as the one who is signed in or not at all,
// with the path that was judged and the headers of the contract, no oftener
// than there are answers; and no answer has a token or a cookie of the
// platform's.
func FuzzProxy(f *testing.F) {
	r := start(f, fuzzed)
	session := r.cookie("alice") + "\r\n"
	w := recordAPI(r)
	for range 2 { // the first time it is looked up who alice is, and not again for a day
		w.end()
		for _, prefix := range []string{"/mdh", "/fa"} {
			r.served("control", stack.Alice, func() reply { return r.ask("GET", prefix+apiEcho, strings.TrimSpace(session)) })
		}
	}
	if calls := w.end(); len(calls) != 2 {
		f.Fatalf("the watch sees %+v", calls)
	}
	for _, seed := range fuzzSeeds {
		for _, prefix := range []string{"/mdh", "/fa"} {
			f.Add(true, seed.method, prefix+seed.target, seed.lines, seed.body)
		}
		f.Add(false, seed.method, "/mdh"+seed.target, seed.lines, seed.body)
	}
	f.Fuzz(func(t *testing.T, signed bool, method, target, lines, body string) {
		r := &rig{Stack: r.Stack, t: t}
		host := r.authority(false)
		request := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n"
		if signed {
			request += session
		}
		request += lines + "\r\n" + body + http1("GET", "/", host, "Connection: close")
		// A call of the request before may come late, after its client was cut
		// off. What is wrong with this one is wrong again.
		var answer string
		var faults []error
		for range 3 {
			answer = r.exchange(request)
			if faults = w.faults(answer, signed); len(faults) == 0 {
				return
			}
		}
		t.Errorf("%v\n%q\n%q", errors.Join(faults...), request, answer)
	})
}

const canary = "CANARY-5e1f"

// exchange writes a request and reads until the server hangs up.
func (r *rig) exchange(request string) string {
	r.t.Helper()
	conn := r.dial()
	defer conn.Close()
	// In the background: the server may answer before it has read all.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request)
	}()
	var answer bytes.Buffer
	_, err := io.Copy(&answer, conn)
	if late(err) {
		r.t.Fatalf("it goes on for ever: %q", request)
	}
	_ = conn.Close()
	<-sent
	return answer.String()
}

// crossing are the headers that may reach the API.
var crossing = []string{"Authorization", "Range", "User-Agent", "Last-Event-Id", "Te", "Trailer", "Connection", "Idempotency-Key"}

// fuzzSeeds begin with what has worked elsewhere.
var fuzzSeeds = []struct{ method, target, lines, body string }{
	{"GET", apiParticipant, "", ""},
	{"HEAD", apiParticipant, "Accept: application/json\r\n", ""},
	{"OPTIONS", apiParticipant, "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n", ""},
	{"POST", "/api/v1/delegated/devicedata", "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}"},
	{"POST", apiEcho, "Transfer-Encoding: chunked\r\nTrailer: X-Note\r\n", "2\r\n{}\r\n0\r\nX-Note: a\r\n\r\n"},
	{"POST", apiEcho, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"},
	{"POST", apiEcho, "Content-Length: 5\r\nContent-Length: 4\r\n", "{   }"},
	{"PUT", apiEcho, "Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"},
	{"GET", apiParticipant, "Connection: Authorization, close\r\nAuthorization: Bearer forged\r\n", ""},
	{"GET", apiParticipant, "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic eDp5\r\n", ""},
	{"GET", apiParticipant, "X-Forwarded-Uri: /x\r\nX-Original-URL: /x\r\nForwarded: host=evil\r\nX-Http-Method-Override: DELETE\r\n", ""},
	{"GET", apiParticipant, "Remote-User: bob\r\nRemote_User: bob\r\nRemote.User: bob\r\n", ""},
	{"GET", apiParticipant, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""},
	{"GET", apiParticipant, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", ""},
	{"GET", apiParticipant, "X-Note: a\r\n Authorization: Bearer forged\r\n", ""},
	{"GET", apiParticipant, "Host: evil.example\r\n", ""},
	{"GET", apiParticipant, "Early-Data: 1\r\nRange: bytes=0-1\r\nIf-None-Match: \"a\"\r\nTE: trailers\r\n", ""},
	{"GET", apiParticipant, "Cookie: __Host-session=x\r\n", ""},
	{"GET", apiEcho + "?access_token=x&to=/../a%2e%2e;b#c", "", ""},
	{"GET", "//api//v1/delegated//participant", "", ""},
	{"GET", "/api/v1/delegated/%2e%2e/administration/projects", "", ""},
	{"GET", "/api/v1/delegated/..;/x", "", ""},
	{"GET", "/api/v1/delegated/custom/a%2fb%25c", "", ""},
	{"GET", "/api/v1/delegated/custom/Simulator.Redirect?to=https://evil.example/", "", ""},
	{"GET", "/api/v1/public/projects/x/views/y", "Authorization: Bearer forged\r\n", ""},
	{"DELETE", apiParticipant, "", ""},
	{"CONNECT", "", "", ""},
	{"GET", apiParticipant + " HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/delegated/participant", "", ""},
	{"POST", apiEcho, "Content-Length: 60\r\n", "GET /mdh/api/v1/delegated/participant HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET", apiParticipant, "\r\nGET /mdh/api/v1/delegated/participant HTTP/1.1\r\nHost: x\r\n", ""},
}
