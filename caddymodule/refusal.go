// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// problem is the body of a refusal (RFC 9457), with the code that frontends
// branch on. `message` is where MyDataHelps' SDKs look for a text.
type problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Code    delegation.Code `json:"code"`
	Message string          `json:"message"`
}

// refuse answers a refusal: through the site's handle_errors if it has any,
// otherwise as application/problem+json.
func (g *Directive) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	refusal := g.recordRefusal(r, err)
	g.writeRefusalHeaders(w.Header(), refusal)
	if hasErrorRoutes(r) {
		// Only the code: error pages echo the text.
		return caddyhttp.Error(refusal.Status(), errors.New(string(refusal.Code)))
	}
	_ = writeBody(w, refusal.Status(), "application/problem+json", problemBody(refusal)) // the client has left
	return nil
}

// refusalResponse is a refusal made by the transport: an answer, not an error, so
// that reverse_proxy never blames the upstream for a person.
func (g *Directive) refusalResponse(req *http.Request, err error) *http.Response {
	refusal := g.recordRefusal(req, err)
	body := problemBody(refusal)
	res := &http.Response{
		StatusCode: refusal.Status(),
		Status:     fmt.Sprintf("%d %s", refusal.Status(), http.StatusText(refusal.Status())),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/problem+json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
	res.Header.Set("Content-Security-Policy", headers.OwnPolicy)
	g.writeRefusalHeaders(res.Header, refusal)
	return res
}

// recordRefusal makes a refusal of err and notes it for the operator.
func (g *Directive) recordRefusal(r *http.Request, err error) *delegation.Refusal {
	refusal := delegation.AsRefusal(err)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.delegate.code", string(refusal.Code))
	}
	g.countRefusal(r, refusal)
	level := zapcore.InfoLevel
	if refusal.Status() >= http.StatusInternalServerError && !refusal.Expected {
		level = zapcore.ErrorLevel
	}
	if r.Context().Err() != nil {
		level = zapcore.DebugLevel // the client left; nobody is refused
	}
	if c := g.logger.Check(level, "refused"); c != nil {
		c.Write(append([]zap.Field{
			g.providerField(),
			g.methodField(r),
			g.routeField(r),
			zap.String("code", string(refusal.Code)),
			zap.Int("status", refusal.Status()),
			zap.NamedError("cause", refusal.Unwrap()),
		}, g.personFields(r)...)...)
	}
	return refusal
}

// providerField names the provider; app_session has none.
func (g *Directive) providerField() zap.Field {
	if g.Provider == "" {
		return zap.Skip()
	}
	return zap.String("provider", g.Provider)
}

// methodField is the request's, if it is one of HTTP's: whatever else somebody has
// made up is not the log's business.
func (g *Directive) methodField(r *http.Request) zap.Field {
	method, _ := wireMethod(r)
	if p := proxiedRequestFrom(r.Context()); p != nil {
		method = p.delegation.Method
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return zap.String("method", method)
	default:
		return zap.String("method", "other")
	}
}

// routeField is the pattern of the `allow` line, of a directive that has a policy.
func (g *Directive) routeField(r *http.Request) zap.Field {
	if g.routePattern == nil {
		return zap.Skip()
	}
	return zap.String("route", g.routePattern(r))
}

// countRefusal counts a refused request. One that was passed on is counted when it
// comes back: reverse_proxy may try more than once.
func (g *Directive) countRefusal(r *http.Request, refusal *delegation.Refusal) {
	outcome := string(refusal.Code)
	if r.Context().Err() != nil {
		outcome = outcomeClientLeft
	}
	if p := proxiedRequestFrom(r.Context()); p != nil {
		p.outcome.label, p.transportRefusal = outcome, refusal
		return
	}
	requestsTotal.WithLabelValues(g.Provider, outcome).Inc()
	if outcome != outcomeClientLeft {
		g.recordRefusalStats(r, refusal)
	}
}

// recordRefusalStats has the refusal counted with those of other people.
func (g *Directive) recordRefusalStats(r *http.Request, refusal *delegation.Refusal) {
	switch {
	case g.provider != nil:
		stats := g.provider.refusals
		var who uint64
		if refusal.Code != delegation.SessionRequired && g.app != nil {
			who = stats.personDigest(g.knownPerson(r))
		}
		if who == 0 && (refusal.Code != delegation.SessionRequired || g.authServerAccepted(r)) {
			who = stats.requestDigest(r.Header)
		}
		stats.recordRefused(refusal, who, g.providerField())
	case g.app != nil:
		g.app.refusals.recordRefused(refusal, g.app.refusals.requestDigest(r.Header), g.providerField())
	}
}

// authServerAccepted tells whether an auth server has said yes to a request, or ought to have
// been asked and was not, as with a matcher that never matches. Otherwise somebody
// without a session is what they seem to be, and nothing is wrong.
func (g *Directive) authServerAccepted(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	status := authServerStatus(repl)
	notAsked := status == 0 && strings.HasPrefix(g.Subject, authResponsePlaceholder) && r.Method != http.MethodOptions // which matchers leave out
	return status/100 == 2 || notAsked
}

// knownPerson is who is asking; nobody, if nobody is signed in.
func (g *Directive) knownPerson(r *http.Request) delegation.Person {
	if p := proxiedRequestFrom(r.Context()); p != nil {
		return p.delegation.Person
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return delegation.Person{}
	}
	who, _ := g.person(r, repl)
	return who
}

// personFields is what may be logged of whoever is asking.
func (g *Directive) personFields(r *http.Request) []zap.Field {
	if g.provider == nil || g.provider.subjectFields == nil {
		return nil
	}
	return g.provider.subjectFields.of(g.knownPerson(r))
}

func (g *Directive) writeRefusalHeaders(h http.Header, refusal *delegation.Refusal) {
	h.Set("Proxy-Status", fmt.Sprintf("%s; error=%s; details=%q", structuredName(g.ProxyStatusName), refusal.ProxyError(), string(refusal.Code)))
	headers.SetOwnHeaders(h)
	if refusal.Status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if len(refusal.Allow) > 0 {
		h.Set("Allow", strings.Join(refusal.Allow, ", "))
	}
	if wait := refusal.BoundedRetryAfter(); wait > 0 {
		h.Set("Retry-After", wholeSeconds(wait))
	}
}

func problemBody(refusal *delegation.Refusal) []byte {
	body, _ := json.Marshal(problem{
		Type:    "about:blank",
		Title:   http.StatusText(refusal.Status()),
		Status:  refusal.Status(),
		Code:    refusal.Code,
		Message: refusal.Message(),
	})
	return body
}

// hasErrorRoutes tells whether the site has handle_errors routes for this
// request. Caddy keeps them per server; a route of another site does not match.
func hasErrorRoutes(r *http.Request) bool {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv.Errors == nil {
		return false
	}
	for _, route := range srv.Errors.Routes {
		if match, err := route.MatcherSets.AnyMatchWithError(r); match || err != nil {
			return true
		}
	}
	return false
}

// structuredName writes a name as a structured field: a token where it is one, a
// string otherwise (RFC 8941 sections 3.3.3 and 3.3.4).
func structuredName(name string) string {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '*'
		inside := c >= '0' && c <= '9' || strings.ContainsRune(":/!#$%&'*+-.^_`|~", c)
		if !letter && (i == 0 || !inside) {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

// wholeSeconds rounds up: who waits that long has waited enough.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
