// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The hosts that Mydex consists of.
const (
	roleOP       = "op"
	rolePDX      = "pdx"
	roleIdentity = "identity"
)

// The areas that can fail by themselves.
const (
	areaToken = "token"
	areaPDX   = "pdx"
	areaSetup = "setup" // the calls that make a link for a member
	areaPages = "pages" // what the member's browser sees
	areaOther = "other"
)

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        http.ResponseWriter // records the status
	sim      *Mydex
	settings *Settings
	now      time.Time
	role     string
	area     string
	segments []string // of the path, decoded
	record   *Record
	body     *recordedBody
}

// begin makes the call and its record.
func (m *Mydex) begin(w http.ResponseWriter, r *http.Request, role string, segments []string) *call {
	c := &call{
		Request:  r,
		sim:      m,
		settings: &m.settings.Load().Settings,
		now:      m.clock(),
		role:     role,
		area:     areaOf(role, r.Method, segments),
		segments: segments,
	}
	c.body = &recordedBody{ReadCloser: r.Body}
	r.Body = c.body
	c.w = &answer{ResponseWriter: w, call: c}
	c.record = &Record{
		Time: c.now, Role: role, Area: c.area, Method: r.Method, URI: r.RequestURI, RawQuery: r.URL.RawQuery,
		Host: r.Host, Proto: r.Proto, Header: r.Header.Clone(),
	}
	m.records.Add(c.record, c.record.note)
	return c
}

func areaOf(role, method string, segments []string) string {
	path := strings.Join(segments, "/")
	switch {
	case role == roleOP && path == "oauth2/token":
		return areaToken
	case role == rolePDX:
		return areaPDX
	case role == roleIdentity && method == http.MethodPost && (path == "ftc/setup" || path == "identify"):
		return areaSetup
	case role == roleIdentity:
		return areaPages
	}
	return areaOther
}

// splitPath reads a path as web servers in front of PHP do: it is decoded
// first, encoded slashes too, then empty segments are dropped and dot segments
// resolved. That is the reading that is worst for a proxy which judges a path
// by its letters.
func splitPath(u *url.URL) []string {
	var segments []string
	for s := range strings.SplitSeq(u.Path, "/") {
		switch s {
		case "", ".":
		case "..":
			segments = segments[:max(0, len(segments)-1)]
		default:
			segments = append(segments, s)
		}
	}
	return segments
}

// path is the path as it was understood.
func (c *call) path() string { return "/" + strings.Join(c.segments, "/") }

func (c *call) end() {
	c.count(func(n *Counts) {
		n.InFlight--
		c.record.Body, c.record.BodySize = c.body.kept.String(), c.body.n
	})
}

func (c *call) count(change func(*Counts)) { c.sim.records.Update(change) }

// answering is called when the answer's status is known, before it is sent:
// whoever has seen an answer finds it in the records.
func (c *call) answering(status int) {
	// The server discards what a handler leaves of a short body, unrecorded.
	if c.ContentLength > 0 && c.ContentLength <= maxBody {
		_, _ = io.Copy(io.Discard, c.body)
	}
	c.count(func(n *Counts) {
		c.record.Status = status
		c.record.Body, c.record.BodySize = c.body.kept.String(), c.body.n
		if status == http.StatusUnauthorized && (c.area == areaPDX || c.area == areaSetup) {
			n.Unauthorized++
		}
	})
}

// refused remembers why, for whoever reads the records.
func (c *call) refused(reason string) {
	c.count(func(*Counts) { c.record.Reason = reason })
}

// json answers with v.
func (c *call) json(status int, v any) { c.jsonAs("application/json", status, v) }

func (c *call) jsonAs(contentType string, status int, v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("mydex: answer cannot be marshalled: " + err.Error())
	}
	c.send(status, contentType, bytes.TrimSpace(b.Bytes()))
}

func (c *call) send(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// failure is the body of the platform's errors but 401.
type failure struct {
	Success int    `json:"success"`
	Message string `json:"message"`
}

// fail answers with an error of the API.
func (c *call) fail(status int, message string) {
	c.refused(message)
	c.json(status, failure{Message: message})
}

// notAllowed answers that the path is there, but not for this method.
func (c *call) notAllowed(methods ...string) {
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	c.fail(http.StatusMethodNotAllowed, "this resource does not know the method")
}

// base is the address at which the client reached the simulator.
func (c *call) base() string {
	if c.TLS != nil {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// drop ends the connection without an answer.
func (c *call) drop() {
	if conn, _, err := http.NewResponseController(c.w).Hijack(); err == nil {
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = t.NetConn()
		}
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // RST, not FIN
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler) // HTTP/2 and 3: resets the stream
}

// maxBody bounds what is read of a request's body.
const maxBody = 1 << 20

// recordedBody counts what is read of a request's body and keeps its beginning.
type recordedBody struct {
	io.ReadCloser
	n    int64
	kept bytes.Buffer
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.kept.Write(p[:min(n, maxKeptBody-b.kept.Len())])
	return n, err
}

// answer tells its call when the status is known.
type answer struct {
	http.ResponseWriter
	call  *call
	begun bool
}

func (a *answer) WriteHeader(status int) {
	if status >= 200 && !a.begun {
		a.begun = true
		a.call.answering(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
