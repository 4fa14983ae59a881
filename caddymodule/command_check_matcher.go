// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"
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
