// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"net/http"
	"strings"
)

// tokenAnswer is the good answer of the token endpoint.
type tokenAnswer map[string]any

// tokenAnswers are the bad answers of the token endpoint by the name they have
// in [Settings]. Each gets the good answer, whose token is real: a client that
// falls for it gets through to the API, where a test can see it.
var tokenAnswers = map[string]func(*call, tokenAnswer){
	"html": func(c *call, _ tokenAnswer) {
		c.send(http.StatusOK, "text/html; charset=utf-8", []byte("<!DOCTYPE html><title>Maintenance</title><p>We will be back soon."))
	},
	"empty": func(c *call, _ tokenAnswer) { c.send(http.StatusOK, "application/json;charset=UTF-8", nil) },
	"huge": func(c *call, good tokenAnswer) {
		// Valid JSON of 2 MiB, the token at its end.
		c.send(http.StatusOK, "application/json;charset=UTF-8", fmt.Appendf(nil, `{"padding":"%s","expires_in":%d,"token_type":"bearer","access_token":"%s"}`,
			strings.Repeat("a", 2<<20), good["expires_in"], good["access_token"]))
	},
	"expires_absent":   with("expires_in", nil),
	"expires_zero":     with("expires_in", 0),
	"expires_negative": with("expires_in", -3600),
	"expires_string":   with("expires_in", "3599"),
	"wrong_type":       with("token_type", "mac"),
	"crlf_token": func(c *call, good tokenAnswer) {
		with("access_token", fmt.Sprint(good["access_token"])+"\r\nX-Injected: yes")(c, good)
	},
	"redirect": func(c *call, _ tokenAnswer) {
		// 307 keeps method and body: a client that follows it shows the secret to somebody else.
		c.w.Header().Set("Location", "/oauth2/elsewhere")
		c.w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"wider_scope": func(c *call, good tokenAnswer) {
		with("scope", fmt.Sprint(good["scope"])+" mydex:identifiers")(c, good)
	},
	"narrower_scope": with("scope", ""),
}

// with answers with one key replaced, or left out if the value is nil.
func with(key string, value any) func(*call, tokenAnswer) {
	return func(c *call, good tokenAnswer) {
		good[key] = value
		if value == nil {
			delete(good, key)
		}
		c.oauthAnswer(http.StatusOK, good)
	}
}
