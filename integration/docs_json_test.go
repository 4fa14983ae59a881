// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestDocsJSON protects who writes JSON from the pages: a configuration loads, an
// answer has the keys that are answered, and all else is JSON.
func TestDocsJSON(t *testing.T) {
	configurations, answers := 0, 0
	for page, text := range documents(t) {
		for _, b := range fenced(page, text, "json") {
			var value map[string]any
			if json.Unmarshal([]byte(b.text), &value) != nil {
				if err := json.Unmarshal([]byte("{"+b.text+"}"), &value); err != nil { // a part of a file
					t.Errorf("%s: %v", b, err)
				}
				continue
			}
			switch {
			case value["apps"] != nil:
				configurations++
				validJSON(t, b)
			case value["access_token"] != nil:
				answers++
				s := start(t, stack.Caddyfile)
				u := signIn(t, s, "alice")
				sameKeys(t, b, value, u.do(u.request(http.MethodPost, "/mdh-token", nil)).body)
			case value["providers"] != nil:
				answers++
				s := start(t, administered(proxied("", "")))
				sameKeys(t, b, value, newAdmin(t, s).send(http.MethodGet, "/delegate/status", "").body)
			}
		}
	}
	if configurations == 0 || answers < 2 {
		t.Errorf("%d configurations and %d answers were found", configurations, answers)
	}
}

// validJSON wants a block to be a configuration that loads.
func validJSON(t *testing.T, b block) {
	t.Helper()
	s := newStack(t)
	t.Setenv("MDH_PROJECT_ID", stack.Project)
	t.Setenv("MDH_SERVICE_ACCOUNT", stack.Account)
	config := new(caddy.Config)
	if err := json.Unmarshal([]byte(strings.ReplaceAll(b.text, "/run/secrets/mydatahelps.pem", s.KeyFile)), config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(config); err != nil {
		t.Errorf("%s: %v", b, err)
	}
}

// sameKeys wants a block to have the keys of an answer, and of the objects in it.
func sameKeys(t *testing.T, b block, value map[string]any, answer string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if want := keysOf(got); !slices.Equal(want, keysOf(value)) {
		t.Errorf("%s: the answer has %v", b, want)
	}
}

func keysOf(value map[string]any) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(value)) {
		all = append(all, key)
		if object, ok := value[key].(map[string]any); ok {
			all = append(all, keysOf(object)...)
		}
	}
	return all
}
