// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// sourcesGuest is a provider of the sources a and b, whose vendors are down if
// they are in down, and with tokens of its own.
type sourcesGuest struct {
	testGuest
	own    delegation.Tokens
	tokens map[string]delegation.Tokens
	down   map[string]bool
	minted []string // the sources of the mints
	forgot func()
}

func (g *sourcesGuest) Open(host delegation.Host) error {
	mint := func(source string) delegation.Mint {
		return func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			g.minted = append(g.minted, id.Source)
			if g.down[source] {
				return nil, delegation.Refuse(delegation.IssuerUnavailable, nil)
			}
			now := time.Now()
			return &delegation.Token{Access: delegation.NewSecret(fmt.Sprint(source, len(g.minted))), Minted: now, Expires: now.Add(time.Hour)}, nil
		}
	}
	g.tokens = make(map[string]delegation.Tokens)
	for _, source := range []string{"a", "b"} {
		g.tokens[source] = host.SourceTokens(source, mint(source))
	}
	g.own = host.Tokens(mint(""))
	return nil
}

func (g *sourcesGuest) Forget(delegation.Selection) {
	if g.forgot != nil {
		g.forgot()
	}
}

// get asks a source for the token of somebody, whom the module takes for one of
// another source.
func (g *sourcesGuest) get(t *testing.T, source, who string) (token string, cached bool, code delegation.Code) {
	t.Helper()
	id := testIdentity(who)
	id.Source = "a"
	got, cached, err := g.tokens[source].Get(t.Context(), id)
	if err != nil {
		return "", false, delegation.AsRefusal(err).Code
	}
	return got.Access.Reveal(), cached, ""
}

func openSources(t *testing.T, logger *zap.Logger) (*provider, *sourcesGuest) {
	t.Helper()
	g := &sourcesGuest{testGuest: testGuest{traits: delegation.Traits{Issuer: "vendors", Fingerprint: "1"}}, down: make(map[string]bool)}
	p, err := openProvider(strings.ToLower(t.Name()), g, appServices{}, logger)
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

// TestSourcesAreApart protects people from one vendor's token being sent to
// another, and from a vendor that is down: it closes its own source.
func TestSourcesAreApart(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	p, g := openSources(t, zap.New(core))
	a, _, _ := g.get(t, "a", "alice")
	b, cached, _ := g.get(t, "b", "alice")
	if a == "" || a == b || cached || fmt.Sprint(g.minted) != "[a b]" {
		t.Errorf("tokens %q and %q, mints %v", a, b, g.minted)
	}
	if again, cached, _ := g.get(t, "a", "alice"); again != a || !cached {
		t.Errorf("%q, cached %v; want a's token", again, cached)
	}

	g.down["a"] = true
	for n := range 30 { // people, so that no one of them is to blame
		if _, _, code := g.get(t, "a", fmt.Sprint("user ", n)); code != delegation.IssuerUnavailable {
			t.Fatalf("a is down: %q", code)
		}
	}
	g.minted = nil
	if _, _, code := g.get(t, "a", "somebody"); code != delegation.IssuerUnavailable || len(g.minted) != 0 {
		t.Errorf("the breaker of a: %q, mints %v", code, g.minted)
	}
	if _, cached, code := g.get(t, "b", "somebody"); cached || code != "" {
		t.Errorf("a source that is well: %q", code)
	}
	if _, _, err := g.own.Get(t.Context(), testIdentity("")); err != nil {
		t.Errorf("the provider's own token: %v", err)
	}
	if token, cached, _ := g.get(t, "a", "alice"); token != a || !cached {
		t.Error("what is in memory serves no more")
	}

	status := p.status()
	if !status.Ready || status.Sources["a"].Ready || status.Sources["a"].Reason != delegation.IssuerUnavailable || !status.Sources["b"].Ready ||
		len(status.Sources) != 2 || status.Entries != 1 || status.Sources["b"].Entries != 2 {
		t.Errorf("status %+v", status)
	}
	got := metricValues(t, testRegistry(t, p), p.name)
	for metric, want := range map[string]float64{
		"issuer_breaker a open": 1, "issuer_breaker b open": 0, "issuer_breaker b closed": 1, "issuer_breaker closed": 1,
		"entries": 1, "entries a": 1, "entries b": 2, "tokens_total hit a": 2, "tokens_total wait b": 2, "tokens_total wait": 1,
		"mints_total ok first b delegated": 2, "mints_total ok first service": 1, "mint_duration_seconds b delegated": 2,
	} {
		if value, ok := got[metric]; !ok || value != want {
			t.Errorf("%s is %v, want %v", metric, value, want)
		}
	}
	minted := logs.FilterMessage("minted").All()
	if first, last := minted[0].ContextMap(), minted[len(minted)-1].ContextMap(); first["source"] != "a" || last["source"] != nil {
		t.Errorf("log lines %v and %v", first, last)
	}
}

// TestSourcesOutliveReloads protects the warmth of each source over reloads, and
// the state of one that is down: changed settings try it anew.
func TestSourcesOutliveReloads(t *testing.T) {
	before := poolSize()
	p, g := openSources(t, zap.NewNop())
	a, _, _ := g.get(t, "a", "alice")
	g.down["b"] = true
	for n := range 30 {
		_, _, _ = g.get(t, "b", fmt.Sprint("user ", n))
	}
	again, next := openSources(t, zap.NewNop())
	_ = p.close()
	if token, cached, _ := next.get(t, "a", "alice"); token != a || !cached {
		t.Error("a source starts cold")
	}
	if s := again.status().Sources["b"]; s.Issuer.State != circuit.Open {
		t.Errorf("a reload has tried a vendor that is down: %+v", s)
	}
	changed := &sourcesGuest{testGuest: testGuest{traits: delegation.Traits{Issuer: "vendors", Fingerprint: "2"}}}
	last, err := openProvider(p.name, changed, appServices{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_ = again.close()
	if s := last.status().Sources["b"]; s.Issuer.State != circuit.Closed || s.Remembered != 0 {
		t.Errorf("changed settings are not tried: %+v", s)
	}
	if _, cached, _ := changed.get(t, "a", "alice"); !cached {
		t.Error("changed settings drop tokens that do not depend on them")
	}
	_ = last.close()
	if poolSize() != before {
		t.Errorf("%d entries are left in the pool", poolSize()-before)
	}
}

// TestPurgesReachAllSources protects whoever signs out or withdraws: no source
// keeps a token, the module forgets once, and before the sources do, so that no
// mint begins with what it remembered.
func TestPurgesReachAllSources(t *testing.T) {
	p, g := openSources(t, zap.NewNop())
	for _, who := range []string{"alice", "bob"} {
		for _, source := range []string{"a", "b"} {
			_, _, _ = g.get(t, source, who)
		}
	}
	alice := delegation.Selection{Realm: "clinic", Subject: "alice"}
	if n := p.countSelected(alice).Tokens; n != 2 {
		t.Errorf("%d tokens of alice are counted", n)
	}
	times := 0
	g.forgot = func() {
		times++
		if n := p.countSelected(alice).Tokens; n != 2 {
			t.Errorf("%d tokens when the module forgets; want the sources' two", n)
		}
	}
	if err := p.purge(t.Context(), alice, false, "test"); err != nil || times != 1 {
		t.Errorf("%v; the module has forgotten %d times", err, times)
	}
	for _, source := range []string{"a", "b"} {
		if _, cached, _ := g.get(t, source, "alice"); cached {
			t.Errorf("source %s has a token of alice", source)
		}
		if _, cached, _ := g.get(t, source, "bob"); !cached {
			t.Errorf("source %s has dropped bob's token", source)
		}
	}
	g.down["a"] = true
	for n := range 30 {
		_, _, _ = g.get(t, "a", fmt.Sprint("user ", n))
	}
	g.forgot = nil
	_ = p.purge(t.Context(), delegation.Selection{}, false, "test")
	if s := p.status().Sources["a"]; s.Issuer.State != circuit.Closed || s.Entries != 0 {
		t.Errorf("after a purge of everybody: %+v", s)
	}
}
