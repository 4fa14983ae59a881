// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC33_TokenTypeSetting protects operators from a token_type that would not
// do what it says: the error names the line and the mend.
func TestC33_TokenTypeSetting(t *testing.T) {
	s := newStack(t)
	for lines, want := range map[string]string{
		"token_type Bearer":                "",
		"token_type":                       "token_type needs a value",
		"token_type Bearer DPoP":           "token_type takes one value",
		"token_type Bearer\ntoken_type x":  "token_type is set already",
		"token_type {env.TYPE}":            "token_type is a word such as Bearer",
		"token_type \"Bearer or so\"":      "token_type is a word such as Bearer",
		"token_types Bearer":               `unrecognized subdirective "token_types" of introspect`,
		"}\ntoken_type Bearer\nhttp {":     `unrecognized subdirective "token_type"`,
		"}\nrealm r\nhttp {\ntoken_type x": `unrecognized subdirective "token_type"`,
	} {
		text, err := s.Render(`{` + stack.Options + "\ndelegate {" + stack.Provider + "\n}\n}\nhttp://127.0.0.1:[[.Port]] {\napp_session {\nbearer\n" +
			"introspect https://l.example/i {\nclient_id x\nclient_secret {env.SECRET}\naudience_claim client_id\naudience app\n" + lines + "\n}\n}\nrespond ok\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		_, err = stack.Adapt(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:")) {
			t.Errorf("%s: %v; want %q with file and line", lines, err, want)
		}
	}
}
