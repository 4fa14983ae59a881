// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// The areas of the platform.
const (
	areaToken     = "token"
	areaAdmin     = "admin"
	areaDelegated = "delegated"
	areaPublic    = "public"
	areaFiles     = "files"
	areaOther     = "other"
)

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        http.ResponseWriter // records the status
	sim      *MyDataHelps
	settings *Settings
	now      time.Time
	area     string
	segments []string // of the path, decoded
	args     []string // what the wildcards of the route stand for
	record   *Record
	body     *countedBody

	token       *issuedToken // in the Authorization header; nil if none or unknown
	live        bool         // token is accepted
	participant *Participant // whose token it is, on the delegated API
}

// begin makes the call and its record.
func (m *MyDataHelps) begin(w http.ResponseWriter, r *http.Request, segments []string) *call {
	c := &call{
		Request:  r,
		sim:      m,
		settings: &m.settings.Load().Settings,
		now:      m.clock(),
		area:     areaOf(segments),
		segments: segments,
	}
	c.body = &countedBody{ReadCloser: r.Body}
	r.Body = c.body
	c.w = &answer{ResponseWriter: w, call: c}
	c.record = &Record{
		Time: c.now, Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto,
		Header: r.Header.Clone(), TokenKind: kindNone, Area: c.area,
	}
	if r.Header.Get("Authorization") != "" {
		c.record.TokenKind = kindUnknown
		if c.identify(); c.token != nil {
			c.record.TokenKind, c.record.ParticipantID = c.token.kind, c.token.participantID
		}
	}
	m.records.Add(c.record, c.record.note)
	return c
}

// identify looks up the token in the Authorization header.
func (c *call) identify() {
	c.now = c.sim.clock()
	c.token, c.live = c.sim.tokens.find(bearer(c.Header.Get("Authorization")), c.now)
}

func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (c *call) end() {
	trailer := c.Trailer.Clone()
	c.count(func(n *Counts) {
		n.InFlight--
		c.record.Trailer, c.record.BodySize = trailer, c.body.n
	})
}

func (c *call) count(change func(*Counts)) { c.sim.records.Update(change) }

// answering is called when the answer's status is known, before it is sent:
// whoever has seen an answer finds it in the records.
func (c *call) answering(status int) {
	// The server discards what a handler leaves of a short body, uncounted.
	if c.ContentLength > 0 && c.ContentLength <= 1<<20 {
		_, _ = io.Copy(io.Discard, c.body)
	}
	trailer := c.Trailer.Clone()
	c.count(func(n *Counts) {
		c.record.Status, c.record.BodySize, c.record.Trailer = status, c.body.n, trailer
		if c.area != areaAdmin && c.area != areaDelegated {
			return
		}
		switch status {
		case http.StatusUnauthorized:
			n.Unauthorized++
		case http.StatusForbidden:
			n.Forbidden++
		case http.StatusTooManyRequests:
			n.Throttled++
		}
	})
}

// refused remembers why, for whoever reads the records.
func (c *call) refused(reason string) {
	c.count(func(*Counts) { c.record.Reason = reason })
}

// json answers with v.
func (c *call) json(status int, v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // the SDK takes an address out of its quotes and unescapes nothing
	if err := encoder.Encode(v); err != nil {
		panic("simulator: answer cannot be marshalled: " + err.Error())
	}
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes())
}

// fail answers with an error of the API.
func (c *call) fail(status int, message string) {
	c.json(status, map[string]string{"message": message})
}

// read decodes a JSON body. If that fails, it answers 400 and returns false.
func (c *call) read(v any) bool {
	if err := json.NewDecoder(io.LimitReader(c.Body, 16<<20)).Decode(v); err != nil {
		c.fail(http.StatusBadRequest, "the body is not the JSON expected here: "+err.Error())
		return false
	}
	return true
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

// countedBody counts what is read of a request's body.
type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
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

func (a *answer) FlushError() error {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
