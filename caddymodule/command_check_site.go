// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// look checks what is around the providers; of directives those of one
// provider, if it is named.
func (l *loaded) look(ctx context.Context, provider string, tell func(delegation.Finding)) {
	l.lookAtSessions(ctx, tell)
	l.lookAtSubjects(ctx, provider, tell)
	l.lookAtRedis(ctx, tell)
	l.lookAtDatabase(ctx, tell)
	l.lookAtCallbacks(ctx, provider, tell)
}

// lookAtSessions has each app_session's keys fetched, or asks the one whom it
// asks about a session that was made up.
func (l *loaded) lookAtSessions(ctx context.Context, tell func(delegation.Finding)) {
	const step = "app_session"
	var seen []string
	for _, p := range l.places {
		if p.name() != step {
			continue
		}
		raw, err := p.settings()
		if err != nil || slices.Contains(seen, string(raw)) {
			continue
		}
		seen = append(seen, string(raw))
		detail, err := l.probeSession(ctx, raw)
		if err != nil {
			tell(delegation.Finding{Step: step, Detail: delegation.Explain(err)})
			continue
		}
		tell(delegation.Finding{Step: step, Detail: detail, OK: true})
	}
	if len(seen) == 0 {
		tell(delegation.Finding{Step: step, Detail: "there is none in the configuration", Skipped: true})
	}
}

func (l *loaded) probeSession(ctx context.Context, raw json.RawMessage) (string, error) {
	module, err := l.ctx.LoadModuleByID("http.handlers.app_session", raw)
	if err != nil {
		return "", err
	}
	s := module.(*AppSession)
	defer func() { _ = s.Cleanup() }()
	return s.probe(ctx)
}

// lookAtSubjects tells of each directive what sets its subject.
func (l *loaded) lookAtSubjects(ctx context.Context, provider string, tell func(delegation.Finding)) {
	var seen []string
	for _, p := range l.places {
		name := p.name()
		if !slices.Contains([]string{"delegate", "delegate_token", "delegate_connect", "delegate_logout"}, name) ||
			provider != "" && text(p.node, "provider") != provider || p.node["backchannel"] != nil {
			continue
		}
		subject := text(p.node, "subject")
		if subject == "" {
			subject = defaultSubject
		}
		f := l.lookAtSubject(ctx, &p, subject)
		f.Step = "subject"
		f.Detail = fmt.Sprintf("%s: %s %s", strings.TrimSpace(name+" "+text(p.node, "provider")), asWritten(subject), f.Detail)
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

// lookAtSubject tells what sets a subject before a place.
func (l *loaded) lookAtSubject(ctx context.Context, p *place, subject string) delegation.Finding {
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
				return askAuthServer(ctx, node, header)
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
	return delegation.Finding{Detail: "is never set: " + how}
}
