// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

func pseudonym(parts ...string) string { return fmt.Sprintf("pseudonym of %d", len(parts)) }

func mustSubjectFields(t *testing.T, kind string) subjectFields {
	t.Helper()
	n, err := newSubjectFields(kind, pseudonym)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// loggedEntry is the one line of a log with a message, and the text of all.
func loggedEntry(t *testing.T, logs *observer.ObservedLogs, message string) (zapcore.Entry, map[string]any) {
	t.Helper()
	lines := logs.FilterMessage(message).All()
	if len(lines) != 1 {
		t.Fatalf("%d lines %q, want 1: %v", len(lines), message, logs.All())
	}
	return lines[0].Entry, lines[0].ContextMap()
}

// TestMintIsLoggedOnce protects the audit log: one line per call for a token,
// however many requests waited for it, that says why and how it ended.
func TestMintIsLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		who   string
		fail  error
		level zapcore.Level
		want  map[string]any
	}{
		"delegated": {"alice", nil, zap.InfoLevel, map[string]any{"token": "delegated", "reason": "first", "outcome": "ok", "cause": nil}},
		"service":   {"", nil, zap.InfoLevel, map[string]any{"token": "service", "outcome": "ok"}},
		"refused": {
			"alice", delegation.Refuse(delegation.DelegationRefused, errors.New("because")), zap.WarnLevel,
			map[string]any{"outcome": "delegation_refused", "cause": "because"},
		},
		"issuer": {
			"alice", delegation.Refuse(delegation.IssuerThrottled, errors.New("because")), zap.ErrorLevel,
			map[string]any{"outcome": "issuer_throttled", "cause": "because"},
		},
		"fault": {"alice", errors.New("because"), zap.ErrorLevel, map[string]any{"outcome": "issuer_unavailable", "cause": "because"}},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			p, g := openTestProvider(t, "", zap.New(core), nil)
			g.fail = c.fail
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { _ = g.get(t, c.who) })
			}
			wg.Wait()
			entry, fields := loggedEntry(t, logs, "minted")
			if entry.Level != c.level {
				t.Errorf("level %v, want %v", entry.Level, c.level)
			}
			for field, want := range c.want {
				if fields[field] != want {
					t.Errorf("%s is %v, want %v", field, fields[field], want)
				}
			}
			if _, ok := fields["duration"]; !ok || fields["provider"] != p.name {
				t.Errorf("fields %v", fields)
			}
			if text := fmt.Sprint(fields); strings.Contains(text, "alice") || strings.Contains(text, "clinic") {
				t.Errorf("the line names the person: %s", text)
			}
		})
	}
}

// TestLogSubject protects people by default, and operators who must know who
// it was: every kind of line has the same fields of them, never the
// participant's ID, and the service account's have none.
func TestLogSubject(t *testing.T) {
	for kind, want := range map[string][]string{
		"":      nil,
		"none":  nil,
		"hmac":  {"subject_hmac=pseudonym of 3"},
		"clear": {"realm=clinic", "subject=alice"},
	} {
		t.Run("kind "+kind, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			p, g := openTestProvider(t, "", zap.New(core), mustSubjectFields(t, kind))
			_ = g.get(t, "alice")
			who := testIdentity("alice").Person
			_ = p.purge(t.Context(), delegation.Selection{Realm: who.Realm, Subject: who.Subject}, false, "admin")

			repl := caddy.NewEmptyReplacer()
			repl.Set("http.auth.user.id", who.Subject)
			directive := testDirective(t, p, SubjectSettings{Realm: who.Realm}, zap.New(core))
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl), http.MethodGet, "/", nil)
			directive.recordRefusal(r, delegation.Refuse(delegation.RouteDenied, nil))

			for _, message := range []string{"minted", "purged", "refused"} {
				_, fields := loggedEntry(t, logs, message)
				var got []string
				for _, field := range []string{"realm", "subject", "subject_hmac"} {
					if value, ok := fields[field]; ok {
						got = append(got, fmt.Sprintf("%s=%v", field, value))
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s has %q, want %q", message, got, want)
				}
				if strings.Contains(fmt.Sprint(fields), "ID-of-") {
					t.Errorf("%s names the participant: %v", message, fields)
				}
			}
			logs.TakeAll()

			// The transport's refusals: by then forward_auth's answer may be gone.
			repl.Set("http.auth.user.id", "")
			proxied := testProxiedRequest(t, &directive, who)
			proxied.refusalResponse(r.WithContext(proxied.withContext(r.Context())), delegation.Refuse(delegation.UpstreamUnauthorized, nil))
			if _, fields := loggedEntry(t, logs, "refused"); fmt.Sprint(fields["subject"]) != "alice" && kind == "clear" {
				t.Errorf("the transport's refusal has %v", fields)
			}
			logs.TakeAll()

			_ = g.get(t, "")
			directive.recordRefusal(r, delegation.Refuse(delegation.SessionRequired, nil))
			for _, line := range logs.All() {
				for field := range line.ContextMap() {
					if field == "realm" || strings.HasPrefix(field, "subject") {
						t.Errorf("%s names somebody, who is nobody", line.Message)
					}
				}
			}
		})
	}
}

// TestLogSubjectNeedsItsKey protects from pseudonyms that are none.
func TestLogSubjectNeedsItsKey(t *testing.T) {
	if _, err := newSubjectFields("hmac", nil); err == nil || !strings.Contains(err.Error(), "keyset") {
		t.Errorf("hmac without a key: %v", err)
	}
	if _, err := newSubjectFields("plain", pseudonym); err == nil {
		t.Error("an unknown word was taken")
	}
}

// TestPurgeIsLogged protects the audit log: who asked, what for, and whether
// every machine knows.
func TestPurgeIsLogged(t *testing.T) {
	for want, s := range map[string]delegation.Selection{
		"all": {}, "realm": {Realm: "clinic"}, "subject": {Subject: "alice"}, "participant": {Participant: "ID-of-alice"},
	} {
		core, logs := observer.New(zap.DebugLevel)
		p, g := openTestProvider(t, want, zap.New(core), mustSubjectFields(t, "hmac"))
		if err := p.purge(t.Context(), s, false, "admin"); err != nil || len(g.released) != 0 {
			t.Errorf("%s: %v, released %v", want, err, g.released)
		}
		entry, fields := loggedEntry(t, logs, "purged")
		if entry.Level != zap.InfoLevel || fields["by"] != "admin" || fields["selected"] != want || fields["complete"] != true || fields["released"] != false {
			t.Errorf("%s: %v %v", want, entry.Level, fields)
		}
		if text := fmt.Sprint(fields); strings.Contains(text, "alice") || strings.Contains(text, "pseudonym") {
			t.Errorf("%s: the line names somebody: %s", want, text)
		}
	}

	core, logs := observer.New(zap.DebugLevel)
	p, g := openTestProvider(t, "incomplete", zap.New(core), nil)
	p.state.tokens.SetShared(unreachableFleet{})
	who := delegation.Person{Realm: "clinic", Subject: "alice"}
	err := p.purge(t.Context(), delegation.Selection{Realm: who.Realm, Subject: who.Subject}, true, "admin")
	if entry, fields := loggedEntry(t, logs, "purged"); !errors.Is(err, tokens.ErrIncomplete) || entry.Level != zap.WarnLevel || fields["complete"] != false || fields["released"] != true {
		t.Errorf("%v: %v %v", err, entry.Level, fields)
	}
	if !slices.Equal(g.released, []delegation.Person{who}) {
		t.Errorf("released %v", g.released)
	}
}

// unreachableFleet is a shared level that is down: no purge reaches it.
type unreachableFleet struct{ tokens.Shared }

func (unreachableFleet) Purge(context.Context, delegation.Selection) error {
	return tokens.ErrIncomplete
}

// TestMintIsTraced protects traces: a mint is a span of the request that
// waited for it, and one in the background begins no trace.
func TestMintIsTraced(t *testing.T) {
	memory := tracetest.NewInMemoryExporter()
	ctx, parent := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory)).Tracer("test").Start(t.Context(), "request")
	p, g := openTestProvider(t, "", zap.NewNop(), mustSubjectFields(t, "clear"))
	if _, _, err := g.tokens.Get(ctx, testIdentity("alice")); err != nil {
		t.Fatal(err)
	}
	spans := memory.GetSpans()
	if len(spans) != 1 || spans[0].Name != "delegate.mint" || spans[0].Parent.SpanID() != parent.SpanContext().SpanID() {
		t.Fatalf("spans %v", spans)
	}
	got := make(map[string]string)
	for _, a := range spans[0].Attributes {
		got[string(a.Key)] = a.Value.AsString()
	}
	if want := fmt.Sprint(map[string]string{
		"delegate.provider": p.name, "delegate.token": "delegated", "delegate.reason": "first", "delegate.outcome": "ok",
	}); fmt.Sprint(got) != want {
		t.Errorf("attributes %v, want %v", got, want)
	}
	id := testIdentity("alice")
	_, done := p.client.BeginMint(context.Background(), &id, tokens.MintAhead)
	done(nil, nil)
	if n := len(memory.GetSpans()); n != 1 {
		t.Errorf("%d spans after a renewal in the background", n)
	}
}
