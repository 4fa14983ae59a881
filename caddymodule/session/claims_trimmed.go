// SPDX-License-Identifier: Apache-2.0

package session

import (
	"maps"
	"slices"
)

const (
	// maxStoredClaims is the size of an answer that is remembered whole with its
	// session, in bytes. Of a larger one as much is, and maxStoredClaim of a claim.
	maxStoredClaims = 16 << 10
	maxStoredClaim  = 1 << 10

	// claimOverhead is about what a claim takes besides its name and text, in bytes.
	claimOverhead = 64
)

// trimmed returns what is remembered of the claims of an answer of a size in bytes.
// Of a large answer it leaves out what no placeholder returns, such as lists, then
// long texts, such as a picture, and then members of the objects with the most names.
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
