// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// unmatched is a route whose matcher names a path with the prefix that has been
// taken off before.
type unmatched struct {
	pattern, prefix string
	handlers        any
}

// strippedMatcher returns the path of a route's matchers that cannot match, with
// the prefix that is why: within `handle_path /api/*` no path begins with /api/ any
// more. Empty if one of the matchers names no such path.
func strippedMatcher(match any, before []map[string]any) (pattern, prefix string) {
	sets, _ := match.([]any)
	for _, s := range sets {
		set, _ := s.(map[string]any)
		paths, _ := set["path"].([]any)
		if len(paths) == 0 {
			return "", ""
		}
		for _, p := range paths {
			path, _ := p.(string)
			if prefix = strippedOf(path, before); prefix == "" {
				return "", ""
			}
			pattern = path
		}
	}
	return pattern, prefix
}

// strippedOf is the prefix that a path begins with and that was taken off.
func strippedOf(path string, before []map[string]any) string {
	for _, node := range before {
		prefix := text(node, "strip_path_prefix")
		if text(node, "handler") == "rewrite" && prefix != "" && (path == prefix || strings.HasPrefix(path, prefix+"/") || path == prefix+"*") {
			return prefix
		}
	}
	return ""
}

// onlyPath is the path of a route's matcher, if it names one and no other.
func onlyPath(match any) string {
	sets, _ := match.([]any)
	if len(sets) != 1 {
		return ""
	}
	set, _ := sets[0].(map[string]any)
	paths, _ := set["path"].([]any)
	if len(paths) != 1 {
		return ""
	}
	path, _ := paths[0].(string)
	return path
}

// matchedHosts are the hosts that a route's matchers name; nil if one of them names none.
func matchedHosts(match any) (hosts []string) {
	sets, _ := match.([]any)
	for _, s := range sets {
		set, _ := s.(map[string]any)
		named, _ := set["host"].([]any)
		if len(named) == 0 {
			return nil
		}
		for _, h := range named {
			host, _ := h.(string)
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// connectPlace is where the handler stands, for a delegate_connect.
func (p *placedHandler) connectPlace() connectPlace {
	place := connectPlace{hosts: p.hosts, under: p.under}
	for _, node := range p.before {
		if text(node, "handler") == "rewrite" {
			place.strip(text(node, "strip_path_prefix"), node["uri"] != nil || node["strip_path_suffix"] != nil || node["uri_substring"] != nil || node["path_regexp"] != nil)
		}
	}
	return place
}

// prefixLeft is the prefix that all paths have which come to a delegate directive,
// where no line of its policy has it: `handle /api/*` leaves it on, handle_path
// takes it off. Empty where a rewrite stands before, or a line can cover such paths.
func (p *placedHandler) prefixLeft(lines []delegation.Route) string {
	prefix, all := strings.CutSuffix(p.under, "/*")
	if !all || len(prefix) < 2 || strings.ContainsAny(prefix, "*{") || slices.ContainsFunc(p.before, func(node map[string]any) bool { return text(node, "handler") == "rewrite" }) {
		return ""
	}
	first, _, _ := strings.Cut(prefix[1:], "/")
	for _, line := range lines {
		segment, _, _ := strings.Cut(strings.TrimPrefix(line.Pattern, "/"), "/")
		if segment == first || strings.HasPrefix(segment, "*") {
			return ""
		}
	}
	return prefix
}

// checkPrefixes tells of directives whose policy covers nothing that comes to them.
func (l *checkedConfig) checkPrefixes(provider string, tell func(delegation.Finding)) {
	for _, p := range l.handlers {
		name := text(p.node, "provider")
		configured := l.app.providers[name]
		if p.name() != "delegate" || configured == nil || provider != "" && name != provider {
			continue
		}
		lines := configured.traits.Routes
		if allow, ok := p.node["allow"].([]any); ok {
			lines = nil
			for _, line := range allow {
				node, _ := line.(map[string]any)
				lines = append(lines, delegation.Route{Pattern: text(node, "path")})
			}
		}
		if prefix := p.prefixLeft(lines); prefix != "" {
			tell(delegation.Finding{Step: "policy", Detail: "delegate " + name + ": every path that comes to it begins with " + command.QuoteForTerminal(prefix) +
				", and no line of its policy does: write handle_path, which takes the prefix off, where handle stands"})
		}
	}
}
