// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// catalogGuest is a provider of sources, which are connected by hooks of their own.
type catalogGuest struct {
	testGuest
	sources []delegation.Source
	ask     []string // the sources whose grants Open asks for
	grants  map[string]delegation.Grants
}

func (g *catalogGuest) Sources() []delegation.Source { return g.sources }

func (g *catalogGuest) Open(host delegation.Host) error {
	g.grants = make(map[string]delegation.Grants)
	for _, source := range g.ask {
		g.grants[source] = host.(delegation.SourcesHost).SourceGrants(source)
	}
	return nil
}

// sourceHooks begin consents; as a prober as well if they are a sourceProber.
type sourceHooks struct{}

func (sourceHooks) StartConsent(context.Context, *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	return nil, nil
}

type sourceProber struct{ sourceHooks }

func (sourceProber) ProbeGrant(context.Context, *delegation.Grant) delegation.ProbeResult {
	panic("the-token-of-somebody")
}

func (sourceProber) RevokeGrant(context.Context, *delegation.Grant) error {
	panic("the-token-of-somebody")
}

// selfConsenting is a provider of sources that would consent itself as well.
type selfConsenting struct {
	catalogGuest
	sourceHooks
}

func newCatalogGuest(sources ...delegation.Source) *catalogGuest {
	return &catalogGuest{testGuest: testGuest{traits: delegation.Traits{Fingerprint: "1"}}, sources: sources}
}

// TestSourcesOfAProvider protects people from a grant of one source being used for
// another: each has consents, grants in memory and hooks of its own.
func TestSourcesOfAProvider(t *testing.T) {
	g := newCatalogGuest(
		delegation.Source{Name: "withings", Title: "Withings", Hooks: sourceHooks{}},
		delegation.Source{Name: "city_lab", Hooks: sourceProber{}, Covers: func([]string, string) bool { panic("the-token-of-somebody") }})
	g.ask = []string{"withings", "city_lab"}
	before := poolSize()
	p, err := openProvider(strings.ToLower(t.Name()), g, appServices{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	withings, lab := p.sourceOf("/withings/measure"), p.sourceOf("/city_lab/")
	if withings == nil || lab == nil || withings.consents == lab.consents || withings.consents == p.consents ||
		g.grants["withings"] != withings.consents || g.grants["city_lab"] != lab.consents {
		t.Fatalf("%v and %v, of %v", withings, lab, g.grants)
	}
	if withings.Title != "Withings" || lab.Title != "city_lab" || !p.host.usesGrants || p.needsConsent() {
		t.Errorf("titles %q and %q, uses grants %v, needs consent itself %v", withings.Title, lab.Title, p.host.usesGrants, p.needsConsent())
	}
	for _, path := range []string{"/", "", "/Withings/x", "/withingsx/y", "/x/withings/"} {
		if s := p.sourceOf(path); s != nil {
			t.Errorf("%q is of %s", path, s.Name)
		}
	}
	if !withings.covers([]string{"a", "b"}, "b") || withings.covers([]string{"a"}, "b") || withings.covers(nil, "a") {
		t.Error("scopes are not compared for equality")
	}
	if lab.covers([]string{"a"}, "a") {
		t.Error("a rule that panics covers something")
	}
	if withings.canRevoke() || !lab.canRevoke() || delegation.AsRefusal(lab.revokeGrant(t.Context(), new(delegation.Grant))).Code != delegation.NotDelegated {
		t.Error("hooks that panic, or are none")
	}
	if n := len(p.allConsents); n != 3 {
		t.Errorf("a purge reaches %d consents", n)
	}
	_ = p.close()
	if poolSize() != before {
		t.Errorf("%d entries are left in the pool", poolSize()-before)
	}
}

// TestSourcesThatDoNotLoad protects operators from a source that nobody could use,
// or that would be taken for another one.
func TestSourcesThatDoNotLoad(t *testing.T) {
	good := delegation.Source{Name: "lab", Hooks: sourceHooks{}}
	with := func(change func(*delegation.Source)) *catalogGuest {
		s := good
		change(&s)
		return newCatalogGuest(s)
	}
	asksForMore := newCatalogGuest(good)
	asksForMore.ask = []string{"lab", "oura"}
	before := poolSize()
	for want, g := range map[string]delegation.Provider{
		"there is no source":      newCatalogGuest(),
		`two sources "lab"`:       newCatalogGuest(good, good),
		"lower-case":              with(func(s *delegation.Source) { s.Name = "City/lab" }),
		"has no Hooks":            with(func(s *delegation.Source) { s.Hooks = nil }),
		"larger than 65536 bytes": with(func(s *delegation.Source) { s.Logo, s.LogoType = make([]byte, maxLogoSize+1), "image/png" }),
		"no media type":           with(func(s *delegation.Source) { s.Logo = []byte("x") }),
		"hooks of its own":        &selfConsenting{catalogGuest: *newCatalogGuest(good)},
		`"oura", which is not`:    asksForMore,
	} {
		if _, err := openProvider("a", g, appServices{}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if poolSize() != before {
		t.Errorf("%d entries are left in the pool", poolSize()-before)
	}
}

// TestRequiredScopes protects pages from having to guess what to ask the person for.
func TestRequiredScopes(t *testing.T) {
	refusal := delegation.Refuse(delegation.ConsentRequired, nil)
	if body := string(problemBody(refusal, "")); strings.Contains(body, "required_scopes") {
		t.Error(body)
	}
	refusal.RequiredScopes = []string{"a", "b"}
	if body := string(problemBody(refusal, "")); !strings.Contains(body, `"required_scopes":["a","b"]`) {
		t.Error(body)
	}
}
