// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestSuspected_CacheKey protects two people whose realm and subject are one
// text when they are put together, with whatever character between them.
func TestSuspected_CacheKey(t *testing.T) {
	one := delegation.Person{Realm: "a\x00b", Subject: "c"}
	other := delegation.Person{Realm: "a", Subject: "b\x00c"}
	if cacheKey(one) == cacheKey(other) {
		t.Error("two people have one key")
	}
}
