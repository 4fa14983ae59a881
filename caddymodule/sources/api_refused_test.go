// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestAPIRefused protects people whose vendor answers 200 whatever happens: they are asked
// to connect again when it says that it does not take the token, and only then.
func TestAPIRefused(t *testing.T) {
	status := &APIRefused{Member: "status", Values: []string{"401", "100"}}
	data := `{"status":401,"data":"` + strings.Repeat("x", maxPeek) + `"}`
	for name, c := range map[string]struct {
		rule   *APIRefused
		status int
		kind   string
		body   string
		want   bool
	}{
		"number":               {status, 200, "application/json", `{"status":401,"error":"canary"}`, true},
		"text":                 {status, 200, "application/json; charset=utf-8", `{"status":"100"}`, true},
		"deeper":               {&APIRefused{Member: "error.code", Values: []string{"9"}}, 200, "text/plain", `{"error":{"code":9}}`, true},
		"success":              {status, 200, "application/json", `{"status":0,"body":{"status":401}}`, false},
		"another value":        {status, 200, "application/json", `{"status":4010}`, false},
		"another path":         {&APIRefused{Member: "error.code", Values: []string{"9"}}, 200, "application/json", `{"code":9}`, false},
		"data of more than 4K": {status, 200, "application/json", data, false},
		"not JSON":             {status, 200, "application/json", `status=401`, false},
		"two members":          {status, 200, "application/json", `{"status":0,"status":401}`, false},
		"a stream":             {status, 200, "text/event-stream", `{"status":401}`, false},
		"an error status":      {status, 500, "application/json", `{"status":401}`, false},
		"no rule":              {nil, 200, "application/json", `{"status":401}`, false},
		"401 without a rule":   {nil, 401, "application/json", `{}`, true},
		"401 with one":         {status, 401, "text/html", ``, true},
	} {
		res := &http.Response{StatusCode: c.status, ContentLength: -1, Header: http.Header{"Content-Type": {c.kind}}, Body: io.NopCloser(strings.NewReader(c.body))}
		as := &credential{Credential: bearer(delegation.NewSecret("t")), refused: c.rule}
		if got := as.Stale(res); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		if rest, err := io.ReadAll(res.Body); string(rest) != c.body || err != nil {
			t.Errorf("%s: %d bytes are left of %d, %v", name, len(rest), len(c.body), err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "br")
		if err := as.Apply(req); err != nil || req.Header.Get("Accept-Encoding") == "br" && c.rule != nil {
			t.Errorf("%s: an answer that cannot be looked at is asked for: %v", name, err)
		}
	}
}
