// SPDX-License-Identifier: Apache-2.0

package session

import (
	"maps"
	"slices"
)

const (
	// maxDepth is deeper than what anybody says of a session.
	maxDepth = 64

	// maxKept is how much of an answer is remembered with its session, and
	// maxKeptClaim of one claim, if there is more than that.
	maxKept      = 16 << 10
	maxKeptClaim = 1 << 10

	// keptOverhead is what a claim takes besides its name and text.
	keptOverhead = 64
)

// nested tells whether JSON has more objects and lists in each other than are read.
func nested(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth = max(depth-1, 0)
		}
	}
	return false
}

// kept is what is remembered of a document of a size. Of a large one those are
// left out which no placeholder tells, such as lists, then long texts, such as a
// picture, and then what stands deepest and last by its name.
func (d document) kept(size int) document {
	if size <= maxKept {
		return d
	}
	type level struct{ from, to map[string]any }
	all, room := make(document), maxKept
	for levels := []level{{d, all}}; len(levels) > 0; levels = levels[1:] {
		l := levels[0]
		for _, name := range slices.Sorted(maps.Keys(l.from)) {
			inner, isObject := l.from[name].(map[string]any)
			text, isScalar := scalar(l.from[name])
			cost := len(name) + len(text) + keptOverhead
			if !isObject && !isScalar || len(text) > maxKeptClaim || cost > room {
				continue
			}
			room -= cost
			if isObject {
				object := make(map[string]any)
				l.to[name] = object
				levels = append(levels, level{inner, object})
				continue
			}
			l.to[name] = l.from[name]
		}
	}
	return all
}
