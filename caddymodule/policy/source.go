// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Source is a data source in the route policy of a provider with several.
type Source struct {
	// Name is the first segment of the paths that go to it.
	Name string
	// Scopes are the default of its lines, and the ceiling of what they may ask
	// for. Empty: a line has no scopes, or any.
	Scopes []string
	// NoScopes reports that its lines may have none.
	NoScopes bool
	// Covers reports whether granted scopes cover a needed one.
	Covers func(granted []string, needed string) bool
}

// NewOfSources compiles the route policy of a provider with several sources. The
// first segment of each pattern is the name of one: a wildcard there would open
// whatever source is added later, and a line for none would go to nobody. Errors
// are as those of [New].
func NewOfSources(routes []delegation.Route, sources []Source) (*Table, error) {
	return compile(routes, func(r delegation.Route) (ceiling, error) {
		if r.Public {
			return ceiling{}, errors.New("a source has no public routes: each request is somebody's who has connected it")
		}
		source, err := sourceOfPattern(r.Pattern, sources)
		if err != nil {
			return ceiling{}, err
		}
		return source.ceiling(), nil
	})
}

// sourceOfPattern returns the source that the first segment of a pattern names.
func sourceOfPattern(pattern string, sources []Source) (Source, error) {
	name, _, below := strings.Cut(pattern[1:], "/")
	names := make([]string, len(sources))
	for i, s := range sources {
		if names[i] = s.Name; s.Name != name {
			continue
		}
		if !below {
			return Source{}, fmt.Errorf("the path at the source is missing: write /%s/**, or a path below /%s/", name, name)
		}
		return s, nil
	}
	return Source{}, fmt.Errorf("the first segment of a path names the source that it goes to, one of %s", strings.Join(names, ", "))
}

// ceiling is what the lines of the source may ask for.
func (s Source) ceiling() ceiling {
	return ceiling{scopes: sorted(s.Scopes), check: func(scope string) error {
		if s.NoScopes {
			return fmt.Errorf("source %s has no scopes, so nobody's consent covers %s: remove it", s.Name, scope)
		}
		if len(s.Scopes) > 0 && !s.Covers(s.Scopes, scope) {
			return fmt.Errorf("scope %s is not among those of source %s: add it to `scopes` of the source, or remove it here", scope, s.Name)
		}
		return nil
	}}
}
