// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
)

// openImportTarget provisions the app of a configuration, and returns a source of one of
// its providers. It touches neither network nor database.
func openImportTarget(c command.Config, providerName, sourceName string) (target *command.ImportTarget, err error) {
	l, err := load(c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.app.Cleanup())
		}
	}()
	p, ok := l.app.providers[providerName]
	if !ok {
		return nil, fmt.Errorf("there is no provider %q: name one of %s", providerName, strings.Join(slices.Sorted(maps.Keys(l.app.providers)), ", "))
	}
	s := p.sourceNamed(sourceName)
	switch {
	case !p.hasSources():
		return nil, fmt.Errorf("provider %s has no sources: grants are imported at a source", p.name)
	case s == nil:
		var names []string
		for _, s := range p.sources {
			names = append(names, s.Name)
		}
		return nil, fmt.Errorf("provider %s has no source %q: name one of %s", p.name, sourceName, strings.Join(names, ", "))
	case !s.consents.CanImport():
		return nil, fmt.Errorf("the module of provider %s cannot import grants", p.name)
	}
	return &command.ImportTarget{Consents: s.consents, HasDatabase: l.app.grantStore.Exists(), NoAccount: s.NoAccount, Close: l.app.Cleanup}, nil
}
