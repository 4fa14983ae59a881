// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// providerSource is one data source of a provider as the handlers use it. It belongs
// to one configuration; its grants in memory are in the pool.
type providerSource struct {
	guestSource
	consents *grants.Consents
	counters hotCounters
}

// maxLogoSize is the most bytes that the logo of a source may have.
const maxLogoSize = 64 << 10

var sourceNamePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// loadSources asks the module for its sources. It leaves a provider without any as
// it is. The error says what of them is wrong.
func (p *provider) loadSources(services appServices) error {
	sources, err := p.readSources()
	if err != nil || !p.hasSources() {
		return err
	}
	if p.guestConsent != (guestConsent{}) {
		return fmt.Errorf("module %s has sources and consent hooks of its own: the Hooks of each source carry out its consents", p.guestType())
	}
	if len(sources) == 0 {
		return errors.New("there is no source: define one")
	}
	for _, source := range sources {
		if err := checkSource(&source); err != nil {
			return fmt.Errorf("source %q of module %s: %w", source.Name, p.guestType(), err)
		}
		if p.sourceNamed(source.Name) != nil {
			return fmt.Errorf("module %s has two sources %q", p.guestType(), source.Name)
		}
		if source.Title == "" {
			source.Title = source.Name
		}
		s := &providerSource{guestSource: newGuestSource(source), counters: newHotCounters(p.name, source.Name)}
		s.consents = p.newConsents(source, &s.guestConsent, services)
		p.sources = append(p.sources, s)
		p.allConsents = append(p.allConsents, s.consents)
	}
	return nil
}

// sourceRedeemTimeout bounds the exchange of a source's code, which is spent, and the
// calls that follow it: whose account it is may take several, and each of them as long
// as the HTTP client allows.
const sourceRedeemTimeout = 2 * time.Minute

// checkSource checks the facts that a module tells of a source.
func checkSource(s *delegation.Source) error {
	switch {
	case !sourceNamePattern.MatchString(s.Name):
		return errors.New("its name has lower-case letters, digits, - and _, and does not begin with - or _")
	case s.Hooks == nil:
		return errors.New("it has no Hooks, so that nobody could connect it")
	case len(s.Logo) > maxLogoSize:
		return fmt.Errorf("its logo is larger than %d bytes", maxLogoSize)
	case len(s.Logo) > 0 && s.LogoType == "":
		return errors.New("its logo has no media type")
	default:
		return nil
	}
}

// sourceNamed returns the source of a name; nil if the provider has none.
func (p *provider) sourceNamed(name string) *providerSource {
	for _, s := range p.sources { // a handful
		if s.Name == name {
			return s
		}
	}
	return nil
}

// sourceOf returns the source that the first segment of a canonical path names; nil
// if it names none.
func (p *provider) sourceOf(path string) *providerSource {
	if len(p.sources) == 0 {
		return nil
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return p.sourceNamed(name)
}
