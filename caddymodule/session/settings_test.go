// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestR8_EverySettingIsInTheKey protects against sessions that outlive a change
// of what they were verified by: each field of a verifier is part of the key
// that its answers are pooled by, and one that is added later fails here until
// it is as well.
func TestR8_EverySettingIsInTheKey(t *testing.T) {
	// The keys are named beside the verifier; who calls is part of the key by
	// the HTTP settings.
	elsewhere := map[string]bool{"Keys": true, "Client": true}
	set := func(field reflect.Value) {
		switch field.Interface().(type) {
		case string:
			field.SetString("changed")
		case []string:
			field.Set(reflect.ValueOf([]string{"changed"}))
		case []jose.SignatureAlgorithm:
			field.Set(reflect.ValueOf([]jose.SignatureAlgorithm{"changed"}))
		case http.Header:
			field.Set(reflect.ValueOf(http.Header{"Host": {"changed"}}))
		case delegation.Secret:
			field.Set(reflect.ValueOf(delegation.NewSecret("changed")))
		case time.Duration:
			field.SetInt(int64(time.Hour))
		case bool:
			field.SetBool(true)
		default:
			t.Fatalf("a field of type %s: say here how to change it", field.Type())
		}
	}
	for _, c := range []struct {
		verifier any
		key      func(any) string
	}{
		{new(JWT), func(v any) string { return delegation.Fingerprint(v.(*JWT).Settings()...) }},
		{new(Introspection), func(v any) string {
			return delegation.Fingerprint(v.(*Introspection).Settings()...)
		}},
		{new(Endpoint), func(v any) string { return delegation.Fingerprint(v.(*Endpoint).Settings()...) }},
	} {
		kind := reflect.TypeOf(c.verifier).Elem()
		before := c.key(c.verifier)
		for i := range kind.NumField() {
			if elsewhere[kind.Field(i).Name] {
				continue
			}
			changed := reflect.New(kind)
			set(changed.Elem().Field(i))
			if c.key(changed.Interface()) == before {
				t.Errorf("%s.%s is not part of the key", kind.Name(), kind.Field(i).Name)
			}
		}
	}
}
