// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestSourcesSettings protects operators from settings that could not work, by JSON as
// well, where no Caddyfile has been checked.
func TestSourcesSettings(t *testing.T) {
	c := startSources(t, "", "page")
	text, err := c.Render(c.caddyfileOf("", "page"))
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		`"then_native":["javascript:alert(1)"]`:          "a scheme of your app's own",
		`"user":"{http.request.header.X-User}"`:          "is not set by an authenticator alone",
		`"sign_in":"https://evil.example/"`:              "is not this site",
		`"then":"/?source=x"`:                            "its query has the parameter source",
		`"callback":"a-segment-that-nobody-can-guess-1"`: "calls no server",
	} {
		config := c.changedJSON(text, "delegate_connect", change)
		if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	renamed := strings.ReplaceAll(c.caddyfileOf("", ""), "city_lab", "status")
	if err := c.Load(renamed); err == nil || !strings.Contains(err.Error(), "delegate_connect has an endpoint of that name") {
		t.Errorf("a source that is named like an endpoint: %v", err)
	}
}

// changedJSON is a Caddyfile as JSON, in which a handler has other members.
func (c *sourcesRig) changedJSON(caddyfile, handler, members string) []byte {
	c.t.Helper()
	adapted := adapted(c.t, c.Stack, caddyfile)
	var changes map[string]any
	if err := json.Unmarshal([]byte("{"+members+"}"), &changes); err != nil {
		c.t.Fatal(err)
	}
	var config any
	if err := json.Unmarshal(adapted, &config); err != nil {
		c.t.Fatal(err)
	}
	found := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, each := range v {
				walk(each)
			}
		case map[string]any:
			if v["handler"] == handler {
				found++
				maps.Copy(v, changes)
			}
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(config)
	changed, err := json.Marshal(config)
	if err != nil || found == 0 {
		c.t.Fatalf("%v, %d handlers", err, found)
	}
	return changed
}
