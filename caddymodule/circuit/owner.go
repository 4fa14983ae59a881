// SPDX-License-Identifier: Apache-2.0

package circuit

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// Owner is for whom a service is asked: the operator, a person, or nobody known.
// A credential, an address or a path is no owner: a breaker that counted those
// could be opened by one person, who can send any number of them.
type Owner struct {
	person delegation.Person
	known  bool
	set    bool
}

// Operator is the owner of questions of the operator's own account, such as for
// a service token. One failure of them opens the breaker.
var Operator = Owner{}

// Unverified is the owner of questions that anybody can cause any number of, such
// as about sessions that were never valid. Their failures count for nothing,
// unless the service cannot be reached at all.
var Unverified = Owner{set: true}

// KnownPerson is the owner for a person whom the service has known before.
func KnownPerson(p delegation.Person) Owner { return Owner{p, true, true} }

// NewPerson is the owner for a signed-in person whom the service has never known.
// All of them count as one person, until there are [MinNewPeople].
func NewPerson(p delegation.Person) Owner { return Owner{p, false, true} }
