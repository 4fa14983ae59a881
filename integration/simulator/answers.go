// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// tokenAnswers are the bad answers of the token endpoint by the name they have
// in [Settings]. Each gets the good answer, whose token is real: a client that
// falls for it gets through to the API, where a test can see it.
var tokenAnswers = map[string]func(c *call, good map[string]any, scopes []string){
	"html": func(c *call, _ map[string]any, _ []string) {
		c.raw("text/html; charset=utf-8", "<!DOCTYPE html><title>Maintenance</title><p>We will be back soon.")
	},
	"empty": func(c *call, _ map[string]any, _ []string) { c.raw("application/json", "") },
	"huge": func(c *call, good map[string]any, _ []string) {
		// Valid JSON of 2 MiB, the token at its end.
		c.raw("application/json", fmt.Sprintf(`{"padding":"%s","expires_in":%d,"token_type":"Bearer","access_token":"%s"}`,
			strings.Repeat("a", 2<<20), good["expires_in"], good["access_token"]))
	},
	"expires_absent":   with("expires_in", nil),
	"expires_zero":     with("expires_in", 0),
	"expires_negative": with("expires_in", -3600),
	"expires_string":   with("expires_in", "3600"),
	"expires_1e18":     with("expires_in", 1e18),
	"crlf_token":       suffixed("\r\nX-Injected: yes"),
	"nul_token":        suffixed("\x00"),
	"wrong_type":       with("token_type", "mac"),
	"redirect": func(c *call, _ map[string]any, _ []string) {
		// 307 keeps method and body: a client that follows it shows the assertion to somebody else.
		c.w.Header().Set("Location", "/identityserver/connect/elsewhere")
		c.w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"wider_scope": func(c *call, good map[string]any, scopes []string) {
		good["scope"] = strings.Join(append([]string{"api", "Participant:write"}, scopes...), " ")
		c.json(http.StatusOK, good)
	},
	"duplicate_keys": func(c *call, good map[string]any, _ []string) {
		c.raw("application/json", fmt.Sprintf(`{"access_token":"%s","expires_in":%d,"token_type":"Bearer","access_token":"%s","expires_in":%d}`,
			strings.Repeat("0", 32), 60, good["access_token"], good["expires_in"]))
	},
}

// with answers with one key replaced, or left out if the value is nil.
func with(key string, value any) func(*call, map[string]any, []string) {
	return func(c *call, good map[string]any, _ []string) {
		good[key] = value
		if value == nil {
			delete(good, key)
		}
		c.json(http.StatusOK, good)
	}
}

func suffixed(s string) func(*call, map[string]any, []string) {
	return func(c *call, good map[string]any, _ []string) {
		good["access_token"] = good["access_token"].(string) + s
		c.json(http.StatusOK, good)
	}
}

func (c *call) raw(contentType, body string) {
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(c.w, body)
}
