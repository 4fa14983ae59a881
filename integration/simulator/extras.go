// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// extraRoutes are custom APIs that no project has: answers a proxy must get
// right. They need a participant token of any scope.
//
//	Simulator.Echo             any method: what was received, as JSON
//	Simulator.Events           server-sent events: n (default 3), interval in ms
//	Simulator.Download         bytes: that many, the byte at offset i is i mod 251
//	Simulator.Hints            103 Early Hints, then 200
//	Simulator.Trailers         an answer with trailers
//	Simulator.WebSocket        sends back every message
//	Simulator.BadHeaders       every response header a proxy should remove
//	Simulator.Redirect         to: where to; code (default 302)
//	Simulator.Status           code: 200 to 599
//	Simulator.Survey           surveyName and answer: what the survey's page sends
var extraRoutes = []route{
	to("", v1+"custom/Simulator.Echo", "", (*call).echo),
	to("GET", v1+"custom/Simulator.Events", "", (*call).streamEvents),
	to("GET", v1+"custom/Simulator.Download", "", (*call).download),
	to("GET", v1+"custom/Simulator.Hints", "", (*call).hints),
	to("GET", v1+"custom/Simulator.Trailers", "", (*call).trailers),
	to("GET", v1+"custom/Simulator.WebSocket", "", (*call).webSocket),
	to("", v1+"custom/Simulator.BadHeaders", "", (*call).badHeaders),
	to("", v1+"custom/Simulator.Redirect", "", (*call).redirect),
	to("", v1+"custom/Simulator.Status", "", (*call).status),
	to("POST", v1+"custom/Simulator.Survey", "", (*call).saveSurvey),
}

func (c *call) echo() {
	h := sha256.New()
	n, err := io.Copy(h, c.Body)
	if err != nil {
		c.fail(http.StatusBadRequest, "the body cannot be read")
		return
	}
	c.json(http.StatusOK, c.withOwner(map[string]any{
		"method": c.Method, "uri": c.RequestURI, "host": c.Host, "proto": c.Proto, "header": c.Header,
		"bodySize": n, "bodySHA256": hex.EncodeToString(h.Sum(nil)), "trailer": c.Trailer,
	}))
}

// patternLength is the period of what Simulator.Download sends.
const patternLength = 251

func (c *call) download() {
	left, err := strconv.ParseInt(c.URL.Query().Get("bytes"), 10, 64)
	if err != nil || left < 0 {
		c.fail(http.StatusBadRequest, "bytes is a whole number")
		return
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(left, 10))
	c.w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return
	}
	block := make([]byte, 256*patternLength)
	for i := range block {
		block[i] = byte(i % patternLength)
	}
	for left > 0 {
		n, err := c.w.Write(block[:min(left, int64(len(block)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

func (c *call) hints() {
	h := c.w.Header()
	h.Set("Link", "</style.css>; rel=preload; as=style")
	h.Set("Set-Cookie", "early=upstream")
	c.w.WriteHeader(http.StatusEarlyHints)
	h.Del("Link")
	h.Del("Set-Cookie")
	c.json(http.StatusOK, c.withOwner(map[string]any{}))
}

func (c *call) trailers() {
	h := c.w.Header()
	h.Set("Trailer", "Content-Digest, X-Simulator-Checksum, X-Simulator-Participant")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	const body = "trailers follow\n"
	_, _ = io.WriteString(c.w, body)
	sum := sha256.Sum256([]byte(body))
	h.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	h.Set("X-Simulator-Checksum", "0123456789abcdef")
	h.Set("X-Simulator-Participant", c.participant.ID)
}

func (c *call) badHeaders() {
	h := c.w.Header()
	for name, value := range map[string]string{
		"Set-Cookie":                       "session=upstream; Path=/",
		"Access-Control-Allow-Origin":      "*",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, DELETE",
		"Access-Control-Allow-Headers":     "*",
		"Access-Control-Expose-Headers":    "*",
		"Access-Control-Max-Age":           "86400",
		"WWW-Authenticate":                 `Basic realm="upstream"`,
		"Clear-Site-Data":                  `"*"`,
		"Strict-Transport-Security":        "max-age=63072000; includeSubDomains; preload",
		"Refresh":                          "0; url=https://evil.example/",
		"NEL":                              `{"report_to":"x","max_age":3600}`,
		"Report-To":                        `{"group":"x","max_age":3600,"endpoints":[{"url":"https://evil.example/"}]}`,
		"Alt-Svc":                          `h3=":443"; ma=86400`,
		"Server":                           "Simulator/1.0",
		"Via":                              "1.1 simulator",
		"Service-Worker-Allowed":           "/",
		"Cache-Control":                    "public, max-age=31536000",
	} {
		h.Set(name, value)
	}
	c.json(http.StatusOK, c.withOwner(map[string]any{}))
}

func (c *call) redirect() {
	q := c.URL.Query()
	code, err := strconv.Atoi(q.Get("code"))
	if q.Get("code") == "" {
		code, err = http.StatusFound, nil
	}
	if _, bad := url.Parse(q.Get("to")); err != nil || bad != nil || code < 300 || code > 399 {
		c.fail(http.StatusBadRequest, "to is a URL and code between 300 and 399")
		return
	}
	c.w.Header().Set("Location", q.Get("to"))
	c.w.WriteHeader(code)
}

func (c *call) status() {
	code, err := strconv.Atoi(c.URL.Query().Get("code"))
	if err != nil || !control.IsStatus(code) {
		c.fail(http.StatusBadRequest, "code is a status between 200 and 599")
		return
	}
	if code == http.StatusNoContent || code == http.StatusResetContent || code == http.StatusNotModified {
		c.w.WriteHeader(code)
		return
	}
	c.json(code, c.withOwner(map[string]any{"message": "simulated: " + http.StatusText(code)}))
}
