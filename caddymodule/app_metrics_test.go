// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// tokenGuest is a provider with tokens. Its mints fail with the error fail, if
// that is set.
type tokenGuest struct {
	testGuest
	tokens   delegation.Tokens
	fail     error
	released []delegation.Person
}

func (g *tokenGuest) Open(host delegation.Host) error {
	g.tokens = host.Tokens(func(context.Context, delegation.Identity, *delegation.Token) (*delegation.Token, error) {
		if g.fail != nil {
			return nil, g.fail
		}
		now := time.Now()
		return &delegation.Token{Access: delegation.NewSecret(now.String()), Minted: now, Expires: now.Add(time.Hour)}, nil
	})
	return nil
}

func (g *tokenGuest) Release(p delegation.Person) { g.released = append(g.released, p) }

func (g *tokenGuest) get(t *testing.T, who string) error {
	t.Helper()
	_, _, err := g.tokens.Get(t.Context(), testIdentity(who))
	return err
}

// testIdentity is the identity of the named person, or of the service account if
// who is empty.
func testIdentity(who string) delegation.Identity {
	if who == "" {
		return delegation.Identity{Provider: "p"}
	}
	return delegation.Identity{Provider: "p", Person: delegation.Person{Realm: "clinic", Subject: who}, Participant: "ID-of-" + who}
}

// openTestProvider opens a provider that is closed with the test, as its counts
// are deleted. Counters are the process's, so the provider has the test's name.
func openTestProvider(t *testing.T, suffix string, logger *zap.Logger, fields subjectFields) (*provider, *tokenGuest) {
	t.Helper()
	g := &tokenGuest{testGuest: testGuest{traits: delegation.Traits{Fingerprint: "1"}}}
	p, err := openProvider(strings.ToLower(t.Name())+suffix, g, appServices{subjectFields: fields}, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.close()
		for _, counters := range []interface{ DeletePartialMatch(prometheus.Labels) int }{requestsTotal, tokensTotal, mintsTotal, mintDuration, purgesTotal} {
			counters.DeletePartialMatch(prometheus.Labels{"provider": p.name})
		}
	})
	return p, g
}

// testRegistry is a registry such as Caddy makes for every configuration.
func testRegistry(t *testing.T, providers ...*provider) *prometheus.Registry {
	t.Helper()
	all := make(map[string]*provider)
	for _, p := range providers {
		all[p.name] = p
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry, &App{providers: all}); err != nil {
		t.Fatal(err)
	}
	if err := registerMetrics(registry, &App{providers: all}); err != nil {
		t.Errorf("the second time: %v", err)
	}
	return registry
}

// metricValues are the values of a registry's metrics of a provider, by name and
// other labels.
func metricValues(t *testing.T, registry *prometheus.Registry, provider string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name, mine := strings.TrimPrefix(family.GetName(), "caddy_delegate_"), false
			for _, label := range m.GetLabel() {
				if label.GetName() == "provider" {
					mine = label.GetValue() == provider
					continue
				}
				if label.GetValue() != "" { // to Prometheus an empty label is none
					name += " " + label.GetValue()
				}
			}
			if mine {
				values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

// TestMetricsOutliveConfigurations protects an operator's graphs: counters go
// on over reloads, two configurations at once count nothing twice, and what a
// reload removed has no state any more.
func TestMetricsOutliveConfigurations(t *testing.T) {
	kept, g := openTestProvider(t, "", zap.NewNop(), nil)
	removed, _ := openTestProvider(t, "-removed", zap.NewNop(), nil)
	old := testRegistry(t, kept, removed)
	for reload := range 3 {
		if err := g.get(t, fmt.Sprint("user ", reload)); err != nil {
			t.Fatal(err)
		}
		again, next := openTestProvider(t, "", zap.NewNop(), nil)
		registry := testRegistry(t, again)
		if err := next.get(t, fmt.Sprint("user ", reload)); err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]*prometheus.Registry{"old": old, "new": registry} {
			got := metricValues(t, r, kept.name)
			for metric, want := range map[string]int{
				"mints_total ok first delegated": reload + 1, "mint_duration_seconds delegated": reload + 1, "entries": reload + 1,
				"tokens_total wait": reload + 1, "tokens_total hit": reload + 1,
			} {
				if got[metric] != float64(want) {
					t.Errorf("%s configuration, reload %d: %s is %v, want %d", name, reload, metric, got[metric], want)
				}
			}
		}
		gone := metricValues(t, registry, removed.name)
		if _, ok := gone["entries"]; ok || gone["issuer_breaker closed"] != 0 {
			t.Errorf("the removed provider still has %v", gone)
		}
		if metricValues(t, old, removed.name)["issuer_breaker closed"] != 1 {
			t.Error("a provider of the old configuration is missing")
		}
	}
}

// downSharedLevel is a shared level that is down, with purges to publish.
type downSharedLevel struct{ tokens.Shared }

func (downSharedLevel) Status() tokens.SharedStatus {
	return tokens.SharedStatus{Kind: "redis", Failures: 3, Pending: 2}
}

// TestGaugesShowTheState protects alerts: the breaker's state, and the shared
// level where there is one.
func TestGaugesShowTheState(t *testing.T) {
	p, g := openTestProvider(t, "", zap.NewNop(), nil)
	registry := testRegistry(t, p)
	alone := metricValues(t, registry, p.name)
	if _, ok := alone["shared_up"]; ok || alone["issuer_breaker closed"] != 1 || alone["issuer_breaker open"] != 0 {
		t.Errorf("at the start: %v", alone)
	}
	g.fail = delegation.Refuse(delegation.CredentialsRejected, nil)
	_ = g.get(t, "") // nobody's service token: everybody's trouble
	_ = g.get(t, "somebody")
	p.state.tokens.SetShared(downSharedLevel{})
	got := metricValues(t, registry, p.name)
	for metric, want := range map[string]float64{
		"issuer_breaker open": 1, "issuer_breaker closed": 0, "issuer_breaker half_open": 0, "remembered_failures": 1,
		"waiting": 0, "minting": 0, "shared_up": 0, "shared_failures_total": 3, "shared_pending_purges": 2,
		"mints_total credentials_rejected first service": 1, "tokens_total failed": 1, "tokens_total remembered": 1,
	} {
		if value, ok := got[metric]; !ok || value != want {
			t.Errorf("%s is %v, want %v", metric, value, want)
		}
	}
}

// TestMetricsFollowConventions protects names, which nobody can mend later.
func TestMetricsFollowConventions(t *testing.T) {
	p, g := openTestProvider(t, "", zap.NewNop(), nil)
	p.state.tokens.SetShared(downSharedLevel{})
	_ = g.get(t, "")
	families, err := testRegistry(t, p).Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) != 0 {
		t.Error(problems, err)
	}
}

// TestCountingIsCheap protects the warm path: a hit costs an atomic addition.
func TestCountingIsCheap(t *testing.T) {
	p, _ := openTestProvider(t, "", zap.NewNop(), nil)
	proxied := &proxiedRequest{provider: p}
	if n := testing.AllocsPerRun(100, func() { p.client.ObserveRequest(tokens.RequestHit); proxied.countOutcome() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWhoLeftIsNotRefused protects alerts on refusals: people who close the
// page while a token is obtained are counted apart, and a request that is
// refused behind the handler is counted when it comes back, once.
func TestWhoLeftIsNotRefused(t *testing.T) {
	p, _ := openTestProvider(t, "", zap.NewNop(), nil)
	registry := testRegistry(t, p)
	directive := testDirective(t, p, SubjectSettings{}, zap.NewNop())
	ctx, leave := context.WithCancel(t.Context())
	leave()
	directive.recordRefusal(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), ctx.Err())

	proxied := testProxiedRequest(t, &directive, delegation.Person{})
	r := httptest.NewRequestWithContext(proxied.withContext(t.Context()), http.MethodGet, "/", nil)
	for range 2 {
		proxied.refusalResponse(r, delegation.Refuse(delegation.UpstreamUnauthorized, nil))
	}
	proxied.countOutcome()
	got := metricValues(t, registry, p.name)
	if got["requests_total client_left"] != 1 || got["requests_total upstream_unauthorized"] != 1 || got["requests_total issuer_unavailable"] != 0 || got["requests_total forwarded"] != 0 {
		t.Errorf("%v", got)
	}
}
