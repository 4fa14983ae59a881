// SPDX-License-Identifier: Apache-2.0

package unauthorized

import (
	"crypto/sha256"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// digests are the SHA-256 digests that name a person, a route, and the person at
// the route. Digests, because paths and subjects can be long. A person is another one
// at each source: a vendor that refuses everybody must not use up what they may renew
// at another.
type digests struct{ person, route, both string }

func digestsOf(d *delegation.Delegation) digests {
	person := fmt.Sprintf("%q%q%q", d.Realm, d.Subject, d.Source)
	route := d.Method + " " + d.Path
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return string(sum[:])
	}
	return digests{digest(person), digest(route), digest(person + route)}
}
