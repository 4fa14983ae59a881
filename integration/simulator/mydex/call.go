// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
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
	areaSetup = "setup" // the calls that make a link for a member, or ask the identity service about one
	areaPages = "pages" // what the member's browser sees
	areaOther = "other"
)

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        *control.Answer
	sim      *Mydex
	settings *Settings
	now      time.Time
	role     string
	area     string
	segments []string // of the path, decoded
	record   *Record
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
	c.w = control.Watch(w, r, maxKeptBody, c.answering)
	c.record = &Record{
		Time: c.now, Role: role, Area: c.area, Method: r.Method, URI: r.RequestURI, RawQuery: r.URL.RawQuery,
		Host: r.Host, Proto: r.Proto, Header: r.Header.Clone(),
	}
	m.records.Add(c.record, c.record.countArrival)
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
	case role == roleIdentity && strings.HasPrefix(path, "members/"):
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
		c.record.Body, c.record.BodySize = c.w.Body.Kept.String(), c.w.Body.N
	})
}

func (c *call) count(change func(*Counts)) { c.sim.records.Update(change) }

// answering is called when the answer's status is known, before it is sent.
func (c *call) answering(status int) {
	c.count(func(n *Counts) {
		c.record.Status = status
		c.record.Body, c.record.BodySize = c.w.Body.Kept.String(), c.w.Body.N
		if status == http.StatusUnauthorized && (c.area == areaPDX || c.area == areaSetup) {
			n.Unauthorized++
		}
	})
}

// recordReason remembers why, for whoever reads the records.
func (c *call) recordReason(reason string) {
	c.count(func(*Counts) { c.record.Reason = reason })
}

// json answers with v.
func (c *call) json(status int, v any) { c.jsonAs("application/json", status, v) }

func (c *call) jsonAs(contentType string, status int, v any) {
	c.send(status, contentType, control.Marshal(v))
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
	c.recordReason(message)
	c.json(status, failure{Message: message})
}

// notAllowed answers that the path is there, but not for this method.
func (c *call) notAllowed(methods ...string) {
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	c.fail(http.StatusMethodNotAllowed, "this resource does not know the method")
}

// maxBody bounds what is read of a request's body.
const maxBody = 1 << 20
