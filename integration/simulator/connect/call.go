// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The areas of the platform. Those of failing can fail by themselves.
const (
	areaExchange = "exchange" // a one-time token for an access token
	areaRecovery = "recovery" // a public token that was lost
	areaVerify   = "verify"   // whose an access token is
	areaData     = "data"
	areaWidget   = "widget" // what the person's browser sees
	areaConsole  = "console"
	areaOther    = "other"
)

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        *control.Answer
	sim      *Platform
	settings *Settings
	names    Names
	now      time.Time
	area     string
	segments []string // of the path, decoded
	record   *Record
}

// begin makes the call and its record.
func (p *Platform) begin(w http.ResponseWriter, r *http.Request, segments []string) *call {
	c := &call{Request: r, sim: p, now: p.clock(), area: areaOf(segments), segments: segments}
	c.use(&p.settings.Load().Settings)
	c.w = control.Watch(w, r, maxKeptBody, c.answering)
	c.record = &Record{
		Time: c.now, Area: c.area, Method: r.Method, URI: r.RequestURI, Path: c.path(),
		Host: r.Host, Proto: r.Proto, Header: r.Header.Clone(),
	}
	if c.area == areaVerify || c.area == areaData {
		c.record.Credentials = c.places()
	}
	p.records.Add(c.record, c.record.countArrival)
	return c
}

func areaOf(segments []string) string {
	switch p := strings.Join(segments, "/"); {
	case p == "v1/connect/tokens":
		return areaExchange
	case p == "v1/connect/publictokens":
		return areaRecovery
	case p == "v1/me", p == "v1/human":
		return areaVerify
	case strings.HasPrefix(p, "v1/human/"):
		return areaData
	case segments[0] == "connect.js", segments[0] == "connect":
		return areaWidget
	case segments[0] == "", segments[0] == "console":
		return areaConsole
	}
	return areaOther
}

// use has the call follow these settings.
func (c *call) use(s *Settings) { c.settings, c.names = s, s.names() }

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
		switch {
		case status == http.StatusUnauthorized && (c.area == areaData || c.area == areaVerify):
			n.Unauthorized++
		case status >= 400 && c.area == areaExchange:
			n.Refusals++
		}
	})
}

// outage does to the call what the settings say. It returns whether the call is
// to be served.
func (c *call) outage() bool {
	// Whatever changed while the call waited counts.
	defer func() { c.now = c.sim.clock() }()
	s := c.sim.settings.Await(c.Context(), func(s *Settings) bool { return s.Outages[c.area].Hold })
	if s == nil {
		return false
	}
	c.use(s)
	if !s.Outages[c.area].Apply(c.Context(), c.w, func(status int, message string) { c.fail(status, "simulated", message) }) {
		return false
	}
	if status := s.EchoRequest[c.area]; status != 0 {
		c.echoRequest(status)
		return false
	}
	return true
}

// json answers with v.
func (c *call) json(status int, v any) { c.send(status, "application/json", control.Marshal(v)) }

func (c *call) send(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// refusal is why a call is refused: a status and a word for it.
type refusal struct {
	status       int
	code, reason string
}

// failure is the body of the platform's errors.
type failure struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
}

// fail answers with an error of the platform.
func (c *call) fail(status int, code, reason string) {
	c.count(func(*Counts) { c.record.Reason = code })
	c.json(status, failure{status, code, reason})
}

func (c *call) refuse(r *refusal) { c.fail(r.status, r.code, r.reason) }

// allow answers 405 unless the method is one of these.
func (c *call) allow(methods ...string) bool {
	if slices.Contains(methods, c.Method) {
		return true
	}
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	c.fail(http.StatusMethodNotAllowed, "method_not_allowed", "this resource does not know the method")
	return false
}
