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

// orphanedGrants are the grants of providers that are not configured. A provider's
// name is part of what its grants are found and sealed by: renaming it leaves
// everybody without theirs.
func (a *App) orphanedGrants(counts []grants.ProviderCount) (left []grants.ProviderCount) {
	for _, c := range counts {
		if _, ok := a.providers[c.Provider]; !ok {
			left = append(left, c)
		}
	}
	return left
}

// orphanedGrantsMessage says what to do about them.
func orphanedGrantsMessage(left []grants.ProviderCount) string {
	texts := make([]string, len(left))
	for i, c := range left {
		texts[i] = fmt.Sprintf("%d of provider %s", c.Grants, command.Printable(c.Provider))
	}
	return "there are grants of providers that are not configured: " + strings.Join(texts, ", ") +
		"; if a provider was renamed, `caddy delegate grants rename <old> <new>` takes them along, otherwise delete them"
}

// warnOrphanedGrants tells the log of grants that nobody can use.
func (a *App) warnOrphanedGrants(ctx context.Context, store *grants.Store) {
	counts, err := store.CountByProvider(ctx)
	if err != nil {
		return // the database is away again: requests tell
	}
	if left := a.orphanedGrants(counts); len(left) > 0 {
		n := 0
		for _, c := range left {
			n += c.Grants
		}
		a.logger.Warn(orphanedGrantsMessage(left), zap.Int("grants", n))
	}
}
