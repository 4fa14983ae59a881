// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsErrorPages protects who copies the error pages: calls get the code
// as JSON, and everything else the page.
func TestDocsErrorPages(t *testing.T) {
	block := regexp.MustCompile("(?s)```caddyfile\n(handle_errors {.*?\n}\n)```").FindStringSubmatch(page(t, operationsPage))
	if block == nil {
		t.Fatal("it is not there")
	}
	s := start(t, proxied("", "handle /gone {\n\t\terror 410\n\t}\n\t"+block[1]))
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	if got := u.get("/gone"); got.StatusCode != http.StatusGone || got.body != "410 Gone" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	got := u.get("/mdh/api/v1/administration")
	var problem struct{ Code string }
	if err := json.Unmarshal([]byte(got.body), &problem); err != nil || problem.Code != "route_denied" || got.StatusCode != http.StatusForbidden || got.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, got.body)
	}
}
