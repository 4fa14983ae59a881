// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// configured is whether the configuration has the provider and source of an owner.
// One that has no provider at all is for these commands alone, and says nothing.
func (c *grantsConfig) configured(o grants.Owner) bool {
	sources, ok := c.providers[o.Provider]
	return len(c.providers) == 0 || ok && (sources == nil || slices.Contains(sources, o.Source))
}

// hasProvider is whether the configuration has a provider of that name.
func (c *grantsConfig) hasProvider(name string) bool {
	_, ok := c.providers[name]
	return ok
}

// missing is what of an owner's provider and source the configuration has not.
func (c *grantsConfig) missing(o grants.Owner) grants.Owner {
	missing := grants.Owner{Provider: o.Provider}
	if _, ok := c.providers[o.Provider]; ok {
		missing.Source = o.Source
	}
	return missing
}

// missingName names a provider, or a source of one.
func missingName(o grants.Owner) string {
	if o.Source == "" {
		return "provider " + QuoteForTerminal(o.Provider)
	}
	return "source " + QuoteForTerminal(o.Source) + " of provider " + QuoteForTerminal(o.Provider)
}

// renameArguments are the arguments of rename for one that has another name now,
// without the new one.
func renameArguments(o grants.Owner) string {
	if o.Source == "" {
		return QuoteForTerminal(o.Provider)
	}
	return "--provider " + QuoteForTerminal(o.Provider) + " " + QuoteForTerminal(o.Source)
}

// placeName is where a grant is: the provider, and its source if it has several. What
// binds a user by participant_field has a source that is none of the operator's.
func placeName(o grants.Owner) string {
	if o.Source == "" || strings.Contains(o.Source, " ") {
		return QuoteForTerminal(o.Provider)
	}
	return QuoteForTerminal(o.Provider) + "/" + QuoteForTerminal(o.Source)
}
