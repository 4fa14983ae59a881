// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkSurroundings checks what is around the providers; of directives those of one
// provider, if it is named.
func (l *checkedConfig) checkSurroundings(ctx context.Context, provider string, tell func(delegation.Finding)) {
	l.checkSessions(ctx, tell)
	l.checkSubjects(ctx, provider, tell)
	l.checkPrefixes(provider, tell)
	l.checkConnectPlaces(provider, tell)
	l.checkRedis(ctx, tell)
	l.checkDatabase(ctx, tell)
	l.checkCallbacks(ctx, provider, tell)
	l.checkTickets(ctx, provider, tell)
}

// checkSessions has each app_session's keys fetched, or asks the one whom it
// asks about a session that was made up.
func (l *checkedConfig) checkSessions(ctx context.Context, tell func(delegation.Finding)) {
	const step = "app_session"
	none := true
	for s, err := range l.sessions() {
		none = false
		detail := ""
		if err == nil {
			detail, err = s.probe(ctx)
		}
		if err != nil {
			detail = delegation.Explain(err)
		}
		tell(delegation.Finding{Step: step, Detail: detail, OK: err == nil})
	}
	if none {
		tell(delegation.Finding{Step: step, Detail: "there is none in the configuration", Skipped: true})
	}
}

// sessions are the app_session of the configuration, those that judge alike once.
// Each is let go of when the next one is asked for.
func (l *checkedConfig) sessions() iter.Seq2[*AppSession, error] {
	return func(yield func(*AppSession, error) bool) {
		var seen []string
		for _, p := range l.handlers {
			own := placedHandler{node: maps.Clone(p.node)}
			delete(own.node, "optional") // says what becomes of nobody
			raw, err := own.settings()
			if err != nil || p.name() != "app_session" || slices.Contains(seen, string(raw)) {
				continue
			}
			seen = append(seen, string(raw))
			module, err := l.ctx.LoadModuleByID("http.handlers.app_session", raw)
			s, _ := module.(*AppSession)
			on := yield(s, err)
			if err == nil {
				_ = s.Cleanup()
			}
			if !on {
				return
			}
		}
	}
}

// checkSubjects tells of each directive what sets its subject.
func (l *checkedConfig) checkSubjects(ctx context.Context, provider string, tell func(delegation.Finding)) {
	var seen []string
	for _, p := range l.handlers {
		name := p.name()
		if !slices.Contains([]string{"delegate", "delegate_token", "delegate_connect", "delegate_logout"}, name) ||
			provider != "" && text(p.node, "provider") != provider || p.node["backchannel"] != nil {
			continue
		}
		subject := text(p.node, "subject")
		if subject == "" {
			subject = defaultSubject
		}
		f := l.checkSubject(ctx, &p, subject)
		f.Step = "subject"
		f.Detail = fmt.Sprintf("%s: %s %s", strings.TrimSpace(name+" "+text(p.node, "provider")), caddyfilePlaceholder(subject), f.Detail)
		if !slices.Contains(seen, f.Detail) {
			seen = append(seen, f.Detail)
			tell(f)
		}
	}
}

// plain are Caddy's handlers that name nobody. Whatever else stands before a
// directive may do so, without its being known here.
var plain = []string{
	"acme_server", "copy_response", "copy_response_headers", "encode", "error", "file_server", "headers", "intercept", "invoke", "log_append", "map",
	"metrics", "push", "request_body", "rewrite", "static_response", "subroute", "templates", "tracing", "vars", "reverse_proxy", "authentication", "app_session",
}

// checkSubject tells what sets a subject before a handler.
func (l *checkedConfig) checkSubject(ctx context.Context, p *placedHandler, subject string) delegation.Finding {
	wanted, how := []string{"app_session", "authentication"}, "no authenticator stands before it: app_session, basic_auth or another one of Caddy"
	header, proxied := strings.CutPrefix(strings.Trim(subject, "{}"), "http.reverse_proxy.header.")
	if proxied {
		wanted, how = []string{"reverse_proxy"}, "no forward_auth stands before it"
	}
	var unknown string
	for _, node := range slices.Backward(p.before) {
		name := text(node, "handler")
		if slices.Contains(wanted, name) && (!proxied || node["handle_response"] != nil) {
			if proxied {
				return probeAuthServer(ctx, node, header)
			}
			return delegation.Finding{Detail: "is set by " + name, OK: true}
		}
		if !slices.Contains(plain, name) {
			unknown = name
		}
	}
	if unknown != "" {
		return delegation.Finding{Detail: "may be set by " + unknown + ", which is another module's", Skipped: true}
	}
	for _, n := range p.never {
		if sets := authenticatorsIn(n.handlers); len(sets) > 0 {
			return delegation.Finding{Detail: "is never set: the matcher of " + strings.Join(sets, " and ") + " names " + command.QuoteForTerminal(n.pattern) +
				", which handle_path has taken off: leave " + command.QuoteForTerminal(n.prefix) + " out of the matcher"}
		}
	}
	return delegation.Finding{Detail: "is never set: " + how}
}
