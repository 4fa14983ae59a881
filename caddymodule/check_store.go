// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// checkRedis tries every command that is used, on keys of its own.
func (l *checkedConfig) checkRedis(ctx context.Context, tell func(delegation.Finding)) {
	f := delegation.Finding{Step: "redis"}
	if l.cache == nil {
		f.Skipped, f.Detail = true, "there is no cache redis in the configuration"
		tell(f)
		return
	}
	machines, err := l.tryRedis(ctx)
	if err != nil {
		f.Detail = err.Error()
		tell(f)
		return
	}
	f.OK, f.Detail = true, "answers, and allows all that is needed"
	tell(f)
	tell(machines)
}

// tryRedis also tells which machines listen there: two keysets do not share.
func (l *checkedConfig) tryRedis(ctx context.Context) (machines delegation.Finding, err error) {
	keys, err := openKeyset(l.app.Keyset)
	if err != nil {
		return machines, fmt.Errorf("keyset: %w", err)
	}
	options, _, err := l.cache.options(keys)
	if err != nil {
		return machines, err
	}
	shared, err := fleet.Open(options)
	if err != nil {
		return machines, err
	}
	defer func() { _ = shared.Close() }()
	if err := shared.Check(ctx); err != nil {
		return machines, err
	}
	machines.Step = "keyset"
	same, others, err := shared.Neighbours(ctx)
	if err != nil {
		machines.Skipped, machines.Detail = true, "which machines listen at Redis could not be told"
		return machines, nil //nolint:nilerr // all that is needed works
	}
	machines.OK, machines.Detail = true, fmt.Sprintf("machines that listen at Redis: %d with this keyset", same)
	if others > 0 {
		machines.Warning = true
		machines.Detail += fmt.Sprintf(", %d with another one, with which they share nothing: if these belong together, give all of them the same keyset file", others)
	}
	return machines, nil
}

// checkDatabase opens the database of the grants, if there is one: who only
// looks makes none.
func (l *checkedConfig) checkDatabase(ctx context.Context, tell func(delegation.Finding)) {
	f := delegation.Finding{Step: "database"}
	defer func() { tell(f) }()
	needed := false
	for _, p := range l.app.providers {
		needed = needed || p.host.usesGrants
	}
	switch {
	case !needed:
		f.Skipped, f.Detail = true, "no provider keeps grants"
		return
	case !l.app.grantStore.Exists():
		f.Skipped, f.Detail = true, "there is none yet: it is made when Caddy starts"
		return
	}
	store, err := l.app.grantStore.Store(ctx)
	if err != nil {
		f.Detail = err.Error()
		return
	}
	counts, err := store.CountByProvider(ctx)
	if err != nil {
		f.Detail = err.Error()
		return
	}
	if left := l.app.orphanedGrants(counts); len(left) > 0 {
		f.Detail = l.app.orphanedGrantsMessage(left)
		return
	}
	f.OK, f.Detail = true, "opens, with the keyset; "+l.app.describeCounts(counts)
}

// describeCounts says how many grants there are of which provider, and of which of
// its sources.
func (a *App) describeCounts(counts []grants.ProviderCount) string {
	if len(counts) == 0 {
		return "nobody has a grant yet"
	}
	var names, texts []string
	sums := make(map[string]int)
	for _, c := range counts {
		name := command.QuoteForTerminal(c.Provider)
		if p := a.providers[c.Provider]; p != nil && p.hasSources() {
			name += "/" + command.QuoteForTerminal(c.Source)
		}
		if sums[name] == 0 {
			names = append(names, name)
		}
		sums[name] += c.Grants
	}
	for _, name := range names {
		texts = append(texts, fmt.Sprintf("%d of %s", sums[name], name))
	}
	return "grants: " + strings.Join(texts, ", ")
}
