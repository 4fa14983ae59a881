// SPDX-License-Identifier: Apache-2.0

package session

import (
	"maps"
	"slices"
)

const (
	// maxStoredClaims is how much of an answer is remembered with its session, and
	// maxKeptClaim of one claim, if there is more than that.
	maxStoredClaims = 16 << 10
	maxStoredClaim  = 1 << 10

	// claimOverhead is what a claim takes besides its name and text.
	claimOverhead = 64
)

// trimmed is what is remembered of a document of a size. Of a large one those are
// left out which no placeholder tells, such as lists, then long texts, such as a
// picture, and then what stands in the objects with the most names.
func (d claims) trimmed(size int) claims {
	if size <= maxStoredClaims {
		return d
	}
	type object struct{ from, to map[string]any }
	all, room := make(claims), maxStoredClaims
	for left := []object{{d, all}}; len(left) > 0; { // few: each has taken of the room
		smallest := 0
		for i := range left {
			if len(left[i].from) < len(left[smallest].from) {
				smallest = i
			}
		}
		o := left[smallest]
		left = slices.Delete(left, smallest, smallest+1)
		for _, name := range slices.Sorted(maps.Keys(o.from)) {
			inner, isObject := o.from[name].(map[string]any)
			text, isScalar := formatScalar(o.from[name])
			cost := len(name) + len(text) + claimOverhead
			if !isObject && !isScalar || len(text) > maxStoredClaim || cost > room {
				continue
			}
			room -= cost
			if isObject {
				to := make(map[string]any)
				o.to[name] = to
				left = append(left, object{inner, to})
				continue
			}
			o.to[name] = o.from[name]
		}
	}
	return all
}
