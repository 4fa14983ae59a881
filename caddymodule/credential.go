// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"reflect"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkedCredential is what a guest returned: a credential or an error. A request with
// neither would be sent as nobody.
func (g *guestModule) checkedCredential(c delegation.Credential, err error) (delegation.Credential, error) {
	if err == nil && isNilCredential(c) {
		err = missingCredential(g.providerName)
	}
	return c, err
}

// isNilCredential tells whether a credential is none, a nil pointer included.
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

func missingCredential(provider string) *delegation.Refusal {
	return delegation.Refuse(delegation.NotDelegated, fmt.Errorf("provider %s returned neither a credential nor an error: its module is at fault", provider))
}
