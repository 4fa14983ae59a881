// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The areas of a vendor, each of which can fail by itself.
const (
	areaPages        = "pages"         // what the person's browser sees
	areaRequestToken = "request_token" // OAuth 1.0a's temporary credentials
	areaCode         = "code"          // a code or a verifier for tokens
	areaRefresh      = "refresh"       // a refresh token for tokens
	areaRevoke       = "revoke"        // the end of a consent
	areaDiscovery    = "discovery"     // SMART's configuration
	areaAccount      = "account"       // whose an access token is
	areaRegister     = "register"      // the call without which there is no data
	areaData         = "data"
	areaOther        = "other"
)

// served is where an area is served, and by what.
func served(area string) (host string, serve func(*call)) {
	switch area {
	case areaPages:
		return HostLogin, (*call).servePages
	case areaRequestToken:
		return HostToken, (*call).serveRequestToken
	case areaCode, areaRefresh:
		return HostToken, (*call).serveToken
	case areaRevoke:
		return HostToken, (*call).serveRevoke
	case areaDiscovery:
		return HostAPI, (*call).serveDiscovery
	case areaAccount:
		return HostAPI, (*call).serveAccount
	case areaRegister:
		return HostAPI, (*call).serveRegister
	case areaData:
		return HostAPI, (*call).serveData
	}
	return "", nil
}

// call is one request on its way through the simulator.
type call struct {
	*http.Request
	w        *control.Answer
	sim      *Vendor
	settings *Settings
	now      time.Time
	area     string
	path     string // decoded
	hosts    []string
	form     url.Values // of a form's body; nil: the body is none
	body     []byte
	record   *Record
}

// maxBody is the longest body that is read.
const maxBody = 64 << 10

// begin makes the call and its record.
func (v *Vendor) begin(w http.ResponseWriter, r *http.Request, path string, hosts []string) *call {
	c := &call{Request: r, sim: v, now: v.clock(), path: path, hosts: hosts, settings: &v.settings.Load().Settings}
	if hosts == nil {
		c.hosts = []string{HostLogin, HostToken, HostAPI}
	}
	c.w = control.Watch(w, r, maxBody, c.answering)
	c.readBody()
	c.area = c.areaOf()
	c.record = &Record{
		Time: c.now, Area: c.area, Method: r.Method, URI: r.RequestURI, Path: path,
		Host: r.Host, Proto: r.Proto, Header: r.Header.Clone(), Body: string(c.body),
	}
	v.records.Add(c.record, c.record.countArrival)
	return c
}

// readBody reads the body, which says whether a token is asked for by a code or by a
// refresh token. One that is too long is as good as none.
func (c *call) readBody() {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	if err != nil {
		return
	}
	c.body = b
	c.Body = io.NopCloser(bytes.NewReader(b))
	if kind, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";"); strings.TrimSpace(strings.ToLower(kind)) == "application/x-www-form-urlencoded" {
		if form, err := url.ParseQuery(string(b)); err == nil {
			c.form = form
		}
	}
}

func (c *call) areaOf() string {
	p := &c.settings.Paths
	switch {
	case strings.HasPrefix(c.path, pagePrefix), c.path == p.Authorize:
		return areaPages
	case c.settings.Protocol == OAuth1 && c.path == p.RequestToken:
		return areaRequestToken
	case c.revokes():
		return areaRevoke
	case c.path == p.Refresh && c.form.Get("grant_type") == "refresh_token":
		return areaRefresh
	case c.path == p.Token:
		return areaCode
	case c.discovers():
		return areaDiscovery
	case p.Register != "" && c.path == p.Register && c.Method == http.MethodPost:
		return areaRegister
	case p.Account != "" && c.path == p.Account:
		return areaAccount
	case strings.HasPrefix(c.path, p.Data+"/"):
		return areaData
	}
	return areaOther
}

func (c *call) end() {
	c.count(func(n *Counts) {
		n.InFlight--
		if c.area == areaCode || c.area == areaRefresh {
			n.TokensInFlight--
		}
	})
}

func (c *call) count(change func(*Counts)) { c.sim.records.Update(change) }

// answering is called when the answer's status is known, before it is sent.
func (c *call) answering(status int) {
	c.count(func(n *Counts) {
		c.record.Status = status
		if status == http.StatusUnauthorized && (c.area == areaData || c.area == areaAccount) {
			n.Unauthorized++
		}
	})
}

// outage does to the call what the settings say. It returns whether the call is to
// be served.
func (c *call) outage() bool {
	// Whatever changed while the call waited counts.
	defer func() { c.now = c.sim.clock() }()
	s := c.sim.settings.Await(c.Context(), func(s *Settings) bool { return s.Outages[c.area].Hold })
	if s == nil {
		return false
	}
	c.settings = s
	return s.Outages[c.area].Apply(c.Context(), c.w, func(status int, reason string) { c.fail(status, "simulated", reason) })
}

// json answers with v.
func (c *call) json(status int, v any) { c.send(status, "application/json", control.Marshal(v)) }

func (c *call) send(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// because notes why the call is refused.
func (c *call) because(reason string) { c.count(func(*Counts) { c.record.Reason = reason }) }

// fail answers with an error of the vendor's API.
func (c *call) fail(status int, code, reason string) {
	c.because(code + ": " + reason)
	c.json(status, map[string]string{"error": code, "error_description": reason})
}

// allow answers 405 unless the method is one of these.
func (c *call) allow(methods ...string) bool {
	if slices.Contains(methods, c.Method) {
		return true
	}
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	c.fail(http.StatusMethodNotAllowed, "method_not_allowed", "this resource does not know the method")
	return false
}
