// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const canary = "canary"

// fillStrings gives every text of a setting the canary: so a setting that is new is
// tried as well.
func fillStrings(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(canary)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillStrings(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			fillStrings(field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillStrings(v.Index(0))
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fillStrings(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name"), value)
	default:
	}
}

// TestShownSource protects secrets that are written out in a configuration from who
// looks at the terminal of an operator: of all settings only those are shown that name
// the vendor, and say how it speaks.
func TestShownSource(t *testing.T) {
	public := strings.Fields(`name auth_host_url api_host_url auth_url request_token_url access_token_url full_auth_url client_id logo regions
		refresh_url issuer client_auth scopes scope_separator covers pkce reply refresh account label granted api_refused signature
		signature_in callback_at ended reserve`)
	for i := range reflect.TypeFor[Source]().NumField() {
		field := reflect.TypeFor[Source]().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "preset" || name == "fhir_base" || name == "region" { // looked up, or beside the others
			continue
		}
		s := new(Source)
		fillStrings(reflect.ValueOf(s).Elem().Field(i))
		switch name {
		case "after_connect":
			s.AfterConnect.Method = "POST"
			s.AfterConnect.URL, s.AfterConnect.Auth, s.AfterConnect.NonceURL = "/x?k="+canary, "bearer", "/n?k="+canary
		case "revoke":
			s.Revoke.Method = "POST"
			s.Revoke.URL, s.Revoke.Auth = "https://"+canary+":"+canary+"@api.lab.example/x?k="+canary+"&"+canary, "bearer"
			s.Revoke.NonceURL = "https://" + canary + "@api.lab.example/n"
		case "http":
			s.HTTP.Proxy, s.HTTP.CAFile = "http://user:"+canary+"@proxy.example:3128", "ca.pem"
		}
		shown, err := s.describe("lab")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Contains(shown.Settings+shown.API, canary); got != slices.Contains(public, name) {
			t.Errorf("%s is shown: %t\n%s", name, got, shown.Settings)
		}
		kind := field.Type.Kind()
		if isText := kind != reflect.Bool && kind != reflect.Int64; isText && !slices.Contains(public, name) && !strings.Contains(shown.Settings, hiddenSetting) {
			t.Errorf("nobody sees that %s is set:\n%s", name, shown.Settings)
		}
	}
}

// TestHiddenSettings protects secrets that look like a placeholder, and those in an
// address; where a secret is stays to be read, and so does what a preset says.
func TestHiddenSettings(t *testing.T) {
	for setting, want := range map[string]string{
		"": "", "{env.SECRET}": "{env.SECRET}", "{file./run/secrets/key}": "{file./run/secrets/key}", "{access}": "{access}",
		"{canary}": "set", "{env.A}{canary}": "set", "{env.A:canary}": "set", `{"key":"canary"}`: "set", "canary{env.A}": "set",
	} {
		if got := hideSecret(setting); got != want {
			t.Errorf("%q: %q, want %q", setting, got, want)
		}
	}
	for address, want := range map[string]string{
		"https://api.lab.example/x":                         "https://api.lab.example/x",
		"https://canary:canary@api.lab.example/x?a=canary":  "https://set@api.lab.example/x?a=set",
		"https://a@b@api.lab.example?token={access}&canary": "https://set@api.lab.example?token={access}&set",
		"{env.API}/x?": "{env.API}/x?",
	} {
		if got := hideInAddress(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
	revoke := &SourceCall{Method: "POST", URL: "/x", Form: map[string]string{"key": canary, "token": "{access}"}}
	s := &Source{Preset: "strava", Revoke: revoke, TokenParams: map[string]string{"key": canary}, HTTP: &HTTP{Proxy: "http://user:" + canary + "@proxy.example"}}
	shown, err := s.describe("strava")
	if err != nil || strings.Contains(shown.Settings, canary) || !strings.Contains(shown.Settings, `"token": "{access}"`) {
		t.Errorf("%v %s", err, shown.Settings)
	}
	if revoke.Form["key"] != canary || s.TokenParams["key"] != canary || !strings.Contains(s.HTTP.Proxy, canary) {
		t.Error("to show a source has changed it")
	}
	shown, err = (&Source{Preset: "google_health"}).describe("google_health")
	if err != nil || strings.Contains(shown.Settings, `"set"`) || strings.Contains(shown.Settings, "=set") {
		t.Errorf("%v: a preset's setting is hidden: %s", err, shown.Settings)
	}
}
