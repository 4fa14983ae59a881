// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/refusals"
)

// refuser is the owner of one directive's refusals: their status, headers, body,
// log line and count.
type refuser struct {
	provider   string // the name; empty for app_session, delegate_logout and the transport by itself
	statusName string // this proxy in Proxy-Status, as a structured field
	logger     *zap.Logger
	stats      *refusalStats // nil: none are kept
	subjects   subjectFields // what log lines say of a person; nil: nothing
	authServer bool          // an auth server's response names the users
}

// refusedRequest is a request as its refusal knows it.
type refusedRequest struct {
	*http.Request

	method string                   // as it is sent to a platform
	source string                   // of the provider's, if one is asked for
	route  string                   // the pattern of the `allow` line; empty for a directive without a policy
	person func() delegation.Person // who is asking; the zero person if nobody is signed in; nil if nobody can be

	// deferCount takes the outcome of a request that was passed on, which is counted
	// when it comes back: reverse_proxy may try more than once. nil: it is
	// counted at once.
	deferCount func(outcome string, refusal *delegation.Refusal)
}

// refuse answers a request with err's refusal: through the site's handle_errors
// if it has any, otherwise as application/problem+json. The error is the one for
// handle_errors.
func (f *refuser) refuse(w http.ResponseWriter, r refusedRequest, err error) error {
	refusal := f.record(r, err)
	setRefusalHeaders(w.Header(), f.statusName, refusal)
	if hasErrorRoutes(r.Request) {
		// Only the code: error pages echo the text.
		return caddyhttp.Error(refusal.Status(), errors.New(string(refusal.Code)))
	}
	_ = writeBody(w, refusal.Status(), "application/problem+json", problemBody(refusal, requestID(r.Request))) // an error is a client that has left
	return nil
}

// response returns err's refusal as the response of a transport: not an error, so
// that reverse_proxy never blames the upstream for a person.
func (f *refuser) response(r refusedRequest, err error) *http.Response {
	return newRefusalResponse(r.Request, f.statusName, f.record(r, err))
}

// refusalHistory is the process's, over reloads: a reload is what an operator does
// first.
var refusalHistory = refusals.NewHistory()

// record makes a refusal of err, sets {http.delegate.code}, writes the log line
// `refused`, counts it and keeps it for `caddy delegate why`.
func (f *refuser) record(r refusedRequest, err error) *delegation.Refusal {
	refusal := delegation.AsRefusal(err)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.delegate.code", string(refusal.Code))
	}
	f.count(r, refusal)
	f.log(r, refusal)
	f.remember(r, refusal)
	return refusal
}

// remember keeps a refusal in the history, unless the client has left, and will
// never ask about it.
func (f *refuser) remember(r refusedRequest, refusal *delegation.Refusal) {
	if r.Context().Err() != nil {
		return
	}
	record := refusals.Record{
		RequestID: requestID(r.Request), Code: refusal.Code, Status: refusal.Status(), Provider: f.provider, Source: r.source,
		Method: r.knownMethod(), Route: r.route, Mend: mendOf(refusal.Code),
	}
	if cause := refusal.Unwrap(); cause != nil {
		record.Cause = fmt.Sprint(cause) // of a provider's: its Error may panic, on a nil pointer for one
	}
	refusalHistory.Add(record)
}

func (f *refuser) log(r refusedRequest, refusal *delegation.Refusal) {
	level := zapcore.InfoLevel
	if refusal.Status() >= http.StatusInternalServerError && !refusal.Expected {
		level = zapcore.ErrorLevel
	}
	if r.Context().Err() != nil {
		level = zapcore.DebugLevel // the client left; nobody is refused
	}
	c := f.logger.Check(level, "refused")
	if c == nil {
		return
	}
	fields := []zap.Field{
		f.providerField(),
		sourceField(r.source),
		zap.String("method", r.knownMethod()),
		r.routeField(),
		zap.String("code", string(refusal.Code)),
		zap.Int("status", refusal.Status()),
		zap.String("request_id", requestID(r.Request)),
		zap.NamedError("cause", refusal.Unwrap()),
	}
	if f.subjects != nil && r.person != nil {
		fields = append(fields, f.subjects.of(r.person())...)
	}
	c.Write(fields...)
}

func (f *refuser) providerField() zap.Field {
	if f.provider == "" {
		return zap.Skip()
	}
	return zap.String("provider", f.provider)
}

// knownMethod is the request's method, if it is one of HTTP's: whatever else
// somebody has made up is not the log's business.
func (r refusedRequest) knownMethod() string {
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.method
	default:
		return "other"
	}
}

// routeField is the pattern and not the path, which may hold IDs.
func (r refusedRequest) routeField() zap.Field {
	if r.route == "" {
		return zap.Skip()
	}
	return zap.String("route", r.route)
}

// deferCountKey is under which a request that was passed on has its deferCount in
// the context, for whatever of these directives stands behind and refuses it: it is
// one request, and counted once.
type deferCountKey struct{}

// count counts a refused request by its code, and with those of other people.
func (f *refuser) count(r refusedRequest, refusal *delegation.Refusal) {
	outcome := string(refusal.Code)
	if r.Context().Err() != nil {
		outcome = outcomeClientLeft
	}
	if r.deferCount == nil {
		r.deferCount, _ = r.Context().Value(deferCountKey{}).(func(string, *delegation.Refusal))
	}
	if r.deferCount != nil {
		r.deferCount(outcome, refusal)
		return
	}
	countRequest(f.provider, r.source, outcome)
	if outcome != outcomeClientLeft {
		f.stats.recordRefused(refusal, f.digest(r, refusal), f.providerField())
	}
}

// digest is of whoever is refused, so that the statistics tell people apart; 0
// is nobody.
func (f *refuser) digest(r refusedRequest, refusal *delegation.Refusal) uint64 {
	if f.provider == "" {
		return f.stats.requestDigest(r.Header)
	}
	if refusal.Code != delegation.SessionRequired {
		if who := f.stats.personDigest(r.person()); who != 0 {
			return who
		}
	} else if !f.lacksUser(r.Request) {
		return 0
	}
	return f.stats.requestDigest(r.Header)
}

// lacksUser reports whether it is the operator's doing that a request names
// nobody: an auth server has said yes without a name, or ought to have been asked
// and was not, as with a matcher that never matches. Otherwise somebody without a
// session is what they seem to be, and nothing is wrong.
func (f *refuser) lacksUser(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	status := authServerStatus(repl)
	notAsked := status == 0 && f.authServer && r.Method != http.MethodOptions // which matchers leave out
	return status/100 == 2 || notAsked
}

// hasErrorRoutes reports whether the site has handle_errors routes for this
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
