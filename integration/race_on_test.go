// SPDX-License-Identifier: Apache-2.0

//go:build race

package integration

// slowdown is by how much a crowd is smaller under the race detector, which
// makes everything about as much slower: what it looks for, a few find too, and
// time limits are those of the real thing.
const slowdown = 5
