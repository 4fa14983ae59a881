// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkedCredential returns what a guest returned: a credential, or an error. A
// request with neither would be sent as nobody.
func (g *guestModule) checkedCredential(c delegation.Credential, err error) (delegation.Credential, error) {
	if err == nil && isNilCredential(c) {
		err = missingCredential(g.providerName)
	}
	return c, err
}

// isNilCredential reports whether a credential is none, a nil pointer included.
func isNilCredential(c delegation.Credential) bool {
	if c == nil {
		return true
	}
	switch v := reflect.ValueOf(c); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan, reflect.Interface:
		return v.IsNil()
	default:
		return false
	}
}

// errUndisclosed is the cause where a credential in an address cannot be searched
// for in the response.
var errUndisclosed = errors.New("the provider keeps its credential in addresses and does not tell what is secret of it: mend the provider")

// missingCredential refuses a request for which a guest returned neither a
// credential nor an error, with not_delegated.
func missingCredential(provider string) *delegation.Refusal {
	return delegation.Refuse(delegation.NotDelegated, fmt.Errorf("provider %s returned neither a credential nor an error: its module is at fault", provider))
}
