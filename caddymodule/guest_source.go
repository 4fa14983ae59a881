// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// hasSources reports whether the module is a [delegation.SourceProvider].
func (g *guestModule) hasSources() bool { return g.sourceProvider != nil }

// readSources calls [delegation.SourceProvider.Sources]; nil if the module is none.
func (g *guestModule) readSources() (sources []delegation.Source, err error) {
	if g.sourceProvider == nil {
		return nil, nil
	}
	defer background.Recover("asking for sources", &err)
	return g.sourceProvider.Sources(), nil
}

// guestSource is a data source of a module, with the interfaces of its hooks, which
// are called as [guestModule] describes.
type guestSource struct {
	delegation.Source
	guestConsent
}

func newGuestSource(source delegation.Source) guestSource {
	return guestSource{source, newGuestConsent(source.Hooks)}
}

// covers reports whether granted scopes cover a needed one, by the source's rule
// [delegation.Source.Covers]. A panic covers nothing.
func (g *guestSource) covers(granted []string, needed string) (ok bool) {
	if g.Covers == nil {
		return slices.Contains(granted, needed)
	}
	_ = background.Do("comparing scopes", func() error { ok = g.Covers(granted, needed); return nil })
	return ok
}
