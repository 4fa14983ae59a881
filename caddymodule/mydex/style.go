// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// Style is how a route of the platform wants the member's identity. The zero Style
// is none of them, and nothing is sent with it.
type Style uint8

const (
	// Datasets have con_id, key and source_type=connection in the query. The
	// uid stands in the path, where the frontend writes me:
	// /api/pds/pds/me.json. Without such a place it goes into the query.
	Datasets Style = iota + 1

	// Blocks have the member key in the header Connection-Token, and uid and
	// con_id in the query: feature blocks, templates, measurements.
	Blocks

	// None is a route that belongs to no member. It gets the bearer alone.
	None
)

var styleWords = []string{"datasets", "blocks", "none"}

// ParseStyle reads a style's word: datasets, blocks or none.
func ParseStyle(word string) (Style, error) {
	for i, w := range styleWords {
		if w == word {
			return Datasets + Style(i), nil
		}
	}
	return 0, fmt.Errorf("unknown style %q: use %s", word, strings.Join(styleWords, ", "))
}

// String returns the style's word.
func (s Style) String() string {
	if i := int(s) - 1; 0 <= i && i < len(styleWords) {
		return styleWords[i]
	}
	return "unset"
}

// StyleOf returns the style of a path, as [policy.Canonical] has returned it, where
// the operator has not set another one: Datasets for /api/pds/pds and
// /api/pds/transaction and what is below them, Blocks for everything else. The
// method makes no difference.
func StyleOf(canonicalPath string) Style {
	if _, ok := cutDatasetRoute(canonicalPath); ok {
		return Datasets
	}
	return Blocks
}

// Rule sets the style of routes, in place of [StyleOf].
type Rule struct {
	// Style is the style of the requests that the rule covers.
	Style Style

	// Methods it covers. Empty: DELETE, GET, HEAD, PATCH, POST and PUT.
	Methods []string

	// Pattern is a path: `*` stands for one segment, a trailing `/**` for any
	// number of them.
	Pattern string
}

// Styles decides where on a request its member's identity goes. The zero Styles has
// no rules. It is safe for concurrent use.
type Styles struct {
	rules *policy.Table
}

// NewStyles compiles rules. The first one that covers a request decides; what
// none covers has the style of [StyleOf]. An error names the rule by its
// number, from 1, and says how to mend it.
func NewStyles(rules []Rule) (*Styles, error) {
	if len(rules) == 0 {
		return new(Styles), nil
	}
	// A policy with the style's word for the scope of each line, so that rules
	// match exactly what `allow` lines do.
	routes := make([]delegation.Route, len(rules))
	for i, r := range rules {
		if _, err := ParseStyle(r.Style.String()); err != nil {
			return nil, fmt.Errorf("line %d (%s): %w", i+1, r.Pattern, err)
		}
		routes[i] = delegation.Route{Methods: r.Methods, Pattern: r.Pattern, Scopes: []string{r.Style.String()}}
	}
	table, err := policy.New(routes, styleWords)
	if err != nil {
		return nil, err
	}
	return &Styles{rules: table}, nil
}

// of returns the style of a request and whether a rule has set it.
func (s *Styles) of(method, canonicalPath string) (style Style, set bool) {
	if s.rules != nil {
		if verdict, err := s.rules.Match(method, canonicalPath, false); err == nil {
			if style, err = ParseStyle(verdict.Scopes[0]); err == nil {
				return style, true
			}
		}
	}
	return StyleOf(canonicalPath), false
}
