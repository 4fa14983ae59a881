// SPDX-License-Identifier: Apache-2.0

package blame

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// Owner is for whom a service was asked. There is no owner for a credential, an
// address or a path: a breaker that counted those could be opened by one person.
type Owner struct {
	person delegation.Person
	proven bool
	some   bool
}

// Everybody is the owner of what the operator's own account asks for: it needs
// no second failure.
var Everybody = Owner{}

// Strangers is the owner of all that nobody has ever vouched for, such as
// sessions that were never valid. Anybody can send any number of them: they
// count for nothing, unless the service cannot be reached at all.
var Strangers = Owner{some: true}

// Known is somebody whom the service has known before.
func Known(p delegation.Person) Owner { return Owner{p, true, true} }

// Newcomer is somebody who is signed in, and whom the service has never known.
// All of them count as one person, until there are many.
func Newcomer(p delegation.Person) Owner { return Owner{p, false, true} }
