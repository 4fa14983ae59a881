// SPDX-License-Identifier: Apache-2.0

package blame

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// Owner is for whom a service was asked. There is no owner for a credential, an
// address or a path: a breaker that counted those could be opened by one person.
type Owner struct {
	person delegation.Person
	known  bool
	set    bool
}

// Operator is the owner of what the operator's own account asks for: it needs
// no second failure.
var Operator = Owner{}

// Unverified is the owner of all that nobody has ever vouched for, such as
// sessions that were never valid. Anybody can send any number of them: they
// count for nothing, unless the service cannot be reached at all.
var Unverified = Owner{set: true}

// KnownPerson is somebody whom the service has known before.
func KnownPerson(p delegation.Person) Owner { return Owner{p, true, true} }

// NewPerson is somebody who is signed in, and whom the service has never known.
// All of them count as one person, until there are many.
func NewPerson(p delegation.Person) Owner { return Owner{p, false, true} }
