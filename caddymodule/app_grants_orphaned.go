// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// orphanedGrants returns the counts of grants whose provider is not configured.
// A provider's name is part of what its grants are found and sealed by: after a
// renaming nobody has theirs.
func (a *App) orphanedGrants(counts []grants.ProviderCount) (orphaned []grants.ProviderCount) {
	for _, c := range counts {
		if _, ok := a.providers[c.Provider]; !ok {
			orphaned = append(orphaned, c)
		}
	}
	return orphaned
}

// orphanedGrantsMessage names orphaned grants by provider, and the two ways to
// deal with them.
func orphanedGrantsMessage(orphaned []grants.ProviderCount) string {
	texts := make([]string, len(orphaned))
	for i, c := range orphaned {
		texts[i] = fmt.Sprintf("%d of provider %s", c.Grants, command.QuoteForTerminal(c.Provider))
	}
	return "there are grants of providers that are not configured: " + strings.Join(texts, ", ") +
		"; if a provider was renamed, `caddy delegate grants rename <old> <new>` takes them along, otherwise delete them"
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
		a.logger.Warn(orphanedGrantsMessage(orphaned), zap.Int("grants", n))
	}
}
