// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// orphanedGrants returns the counts of grants whose provider, or source of a provider
// with several, is not configured. Both names are part of what grants are found and
// sealed by: after a renaming nobody has theirs.
func (a *App) orphanedGrants(counts []grants.ProviderCount) (orphaned []grants.ProviderCount) {
	for _, c := range counts {
		if p, ok := a.providers[c.Provider]; !ok || p.hasSources() && p.sourceNamed(c.Source) == nil {
			orphaned = append(orphaned, c)
		}
	}
	return orphaned
}

// orphanedGrantsMessage names orphaned grants by provider and source, and the two
// ways to deal with them.
func (a *App) orphanedGrantsMessage(orphaned []grants.ProviderCount) string {
	var messages []string
	providers, sources := a.orphanedNames(orphaned)
	if len(providers) > 0 {
		messages = append(messages, "there are grants of providers that are not configured: "+strings.Join(providers, ", ")+
			"; if a provider was renamed, `caddy delegate grants rename <old> <new>` takes them along, otherwise delete them")
	}
	if len(sources) > 0 {
		messages = append(messages, "there are grants of sources that are not configured: "+strings.Join(sources, ", ")+
			"; if a source was renamed, `caddy delegate grants rename --provider <provider> <old> <new>` takes them along, otherwise delete them")
	}
	return strings.Join(messages, "; ")
}

// orphanedNames are the providers that are not configured, and the sources of
// providers that are, each with the number of its grants.
func (a *App) orphanedNames(orphaned []grants.ProviderCount) (providers, sources []string) {
	byProvider := make(map[string]int)
	for _, c := range orphaned {
		if _, ok := a.providers[c.Provider]; ok {
			sources = append(sources, fmt.Sprintf("%d of source %s of provider %s", c.Grants, command.QuoteForTerminal(c.Source), command.QuoteForTerminal(c.Provider)))
		} else {
			byProvider[c.Provider] += c.Grants
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byProvider)) {
		providers = append(providers, fmt.Sprintf("%d of provider %s", byProvider[name], command.QuoteForTerminal(name)))
	}
	return providers, sources
}

// warnOrphanedGrants logs orphaned grants, if there are any, at level warn.
func (a *App) warnOrphanedGrants(ctx context.Context, store *grants.Store) {
	counts, err := store.CountByProvider(ctx)
	if err != nil {
		return // requests that need the database report it
	}
	if orphaned := a.orphanedGrants(counts); len(orphaned) > 0 {
		n := 0
		for _, c := range orphaned {
			n += c.Grants
		}
		a.logger.Warn(a.orphanedGrantsMessage(orphaned), zap.Int("grants", n))
	}
}
