// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerTimeout is how long an answer may take before a test fails.
const answerTimeout = 20 * time.Second

// reply is an answer that was read to its end. Its status is 0 if the server
// hung up without one.
type reply struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
}

// code is that of a refusal of ours.
func (a reply) code() string {
	if a.header.Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(a.header.Get("Proxy-Status"), "caddy-delegate; ") {
		return ""
	}
	var problem struct{ Code string }
	_ = json.Unmarshal([]byte(a.body), &problem)
	return problem.Code
}

// dial connects to Caddy.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.Port))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// send puts bytes on the wire as they are, so that no client library tidies
// an attack up, and reads one answer.
func (r *rig) send(request string) reply {
	r.t.Helper()
	conn := r.dial()
	defer conn.Close()
	// A server that has seen enough hangs up on the rest: the answer tells.
	_, _ = io.WriteString(conn, request)
	return r.read(conn, request)
}

// sendAndEnd is send by somebody who then hangs up in one direction, so that
// what they announced never comes.
func (r *rig) sendAndEnd(request string) reply {
	r.t.Helper()
	conn := r.dial()
	defer conn.Close()
	_, _ = io.WriteString(conn, request)
	_ = conn.(*net.TCPConn).CloseWrite()
	return r.read(conn, request)
}

// read reads the answer to a request, and skips that it may go on.
func (r *rig) read(conn net.Conn, request string) reply {
	r.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	reader, asked := bufio.NewReader(conn), &http.Request{Method: method}
	res, err := http.ReadResponse(reader, asked)
	for err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(reader, asked)
	}
	if err != nil {
		if late(err) {
			r.t.Fatalf("no answer to %.2000q", request)
		}
		return reply{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil && res.StatusCode < 300 {
		r.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body), res.Trailer}
}

// late tells a server that does not answer from one that hangs up.
func late(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// http1 writes a request down: whatever the target and the header lines are.
func http1(method, target, host string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

// ask sends a request without a body to our site.
func (r *rig) ask(method, target string, lines ...string) reply {
	r.t.Helper()
	return r.send(http1(method, target, r.authority(false), lines...))
}

// post sends a request with a body to our site.
func (r *rig) post(target, body string, lines ...string) reply {
	r.t.Helper()
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	return r.send(http1(http.MethodPost, target, r.authority(false), lines...) + body)
}

// askHome sends a request without a body to the homemade site.
func (r *rig) askHome(method, target string, lines ...string) reply {
	r.t.Helper()
	return r.send(http1(method, target, r.authority(true), lines...))
}
