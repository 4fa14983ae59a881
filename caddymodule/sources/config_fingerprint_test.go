// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestFingerprint protects requests from what was remembered under other settings:
// each of them that calls depend on is part of the fingerprint.
func TestFingerprint(t *testing.T) {
	none := new(Config).fingerprint()
	shown := map[string]bool{"Title": true, "Logo": true, "LogoType": true, "Ended": true, "LoadSecret": true}
	kind := reflect.TypeFor[Config]()
	for i := range kind.NumField() {
		name := kind.Field(i).Name
		c := new(Config)
		setSomething(t, reflect.ValueOf(c).Elem().Field(i))
		if changed := c.fingerprint() != none; changed == shown[name] {
			t.Errorf("%s: changes the fingerprint: %t", name, changed)
		}
	}
}

// setSomething sets a setting to something else than zero.
func setSomething(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Addr().Interface().(type) {
	case **url.URL:
		v.Set(reflect.ValueOf(at("https://x.example")))
	case *delegation.Secret:
		v.Set(reflect.ValueOf(delegation.NewSecret("x")))
	case *time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
	case *func() (delegation.Secret, error):
		v.Set(reflect.ValueOf(func() (delegation.Secret, error) { return delegation.Secret{}, nil }))
	case *map[string]string:
		v.Set(reflect.ValueOf(map[string]string{"a": "b"}))
	case *map[string]delegation.Secret:
		v.Set(reflect.ValueOf(map[string]delegation.Secret{"a": delegation.NewSecret("b")}))
	case *[]string:
		v.Set(reflect.ValueOf([]string{"a"}))
	case *[]byte:
		v.Set(reflect.ValueOf([]byte("a")))
	case **Lookup:
		v.Set(reflect.ValueOf(&Lookup{In: InReply, Path: "a"}))
	case **Call:
		v.Set(reflect.ValueOf(&Call{Method: "GET", URL: "a"}))
	case **delegation.HTTP:
		v.Set(reflect.ValueOf(&delegation.HTTP{Timeout: time.Second}))
	case *Reply:
		v.Set(reflect.ValueOf(Reply{Refused: []string{"1"}}))
	case *time.Duration:
		v.Set(reflect.ValueOf(time.Second))
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("a setting of kind %v: add it here", v.Type())
		}
	}
}
