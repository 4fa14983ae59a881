// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

// TestKeySetsThatAreNone protects from answers that are hostile, or for
// something else.
func TestKeySetsThatAreNone(t *testing.T) {
	usable := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}`
	for name, c := range map[string]struct {
		text string
		keys int
	}{
		"one":           {`{"keys":[` + usable + `]}`, 1},
		"unknown types": {`{"keys":[{"kty":"new"},` + usable + `,{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}]}`, 1},
		"encryption":    {`{"keys":[` + strings.Replace(usable, `"kid"`, `"use":"enc","kid"`, 1) + `]}`, 0},
		"a secret":      {`{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}]}`, 0},
		"HTML":          {`<html>`, 0},
		"null":          {`null`, 0},
		"no keys":       {`{}`, 0},
	} {
		keys, _, err := parseKeySet([]byte(c.text))
		if len(keys) != c.keys || (err == nil) != (c.keys > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	huge := new(jwkstest.Server)
	huge.PublishText(`{"keys":[` + usable + `],"x":"` + strings.Repeat("x", maxKeySet) + `"}`)
	if _, _, err := remote(huge).download(t.Context()); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an answer of any length is read: %v", err)
	}
}
