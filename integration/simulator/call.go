// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The areas of the platform.
const (
	areaToken     = "token"
	areaAdmin     = "admin"
	areaDelegated = "delegated"
	areaPublic    = "public"
	areaFiles     = "files"
	areaPages     = "pages"
	areaOther     = "other"
)

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        *control.Answer
	sim      *MyDataHelps
	settings *Settings
	now      time.Time
	area     string
	segments []string // of the path, decoded
	args     []string // what the wildcards of the route stand for
	record   *Record

	token       *control.Token // in the Authorization header; nil if none or unknown
	live        bool           // token is accepted
	participant *Participant   // whose token it is, on the delegated API
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
	c.w = control.Watch(w, r, 0, c.answering)
	c.record = &Record{
		Time: c.now, Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto,
		Header: r.Header.Clone(), TokenKind: kindNone, Area: c.area,
	}
	if r.Header.Get("Authorization") != "" {
		c.record.TokenKind = kindUnknown
		if c.identify(); c.token != nil {
			c.record.TokenKind, c.record.ParticipantID = c.token.Kind, c.token.Owner
		}
	}
	m.records.Add(c.record, c.record.countArrival)
	return c
}

// identify looks up the token in the Authorization header.
func (c *call) identify() {
	c.now = c.sim.clock()
	c.token, c.live = c.sim.tokens.Find(bearer(c.Header.Get("Authorization")), c.now)
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
		c.record.Trailer, c.record.BodySize = trailer, c.w.Body.N
	})
}

func (c *call) count(change func(*Counts)) { c.sim.records.Update(change) }

// answering is called when the answer's status is known, before it is sent.
func (c *call) answering(status int) {
	trailer := c.Trailer.Clone()
	c.count(func(n *Counts) {
		c.record.Status, c.record.BodySize, c.record.Trailer = status, c.w.Body.N, trailer
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

// recordReason remembers why, for whoever reads the records.
func (c *call) recordReason(reason string) {
	c.count(func(*Counts) { c.record.Reason = reason })
}

// json answers with v.
func (c *call) json(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(control.Marshal(v))
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
