// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeJSONLoads protects whoever writes JSON from the README.
func TestReadmeJSONLoads(t *testing.T) {
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		if !strings.Contains(block[1], `"apps"`) {
			continue
		}
		s := newStack(t)
		t.Setenv("MDH_PROJECT_ID", stack.Project)
		t.Setenv("MDH_SERVICE_ACCOUNT", stack.Account)
		text := strings.ReplaceAll(block[1], "/run/secrets/mydatahelps.pem", s.KeyFile)
		config := new(caddy.Config)
		if err := json.Unmarshal([]byte(text), config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(config); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("no JSON configuration was found")
}

// TestReadmeNamesEveryCode protects frontend developers: what they can meet
// is in the table, with its status.
func TestReadmeNamesEveryCode(t *testing.T) {
	text := readme(t)
	for _, code := range []delegation.Code{
		delegation.SessionRequired, delegation.CrossOrigin, delegation.PathAmbiguous, delegation.HeadersTooLarge, delegation.RouteDenied, delegation.MethodNotAllowed,
		delegation.TooEarly, delegation.TooManyRequests, delegation.SessionUnavailable, delegation.ParticipantUnknown, delegation.ParticipantAmbiguous, delegation.ParticipantWithdrawn,
		delegation.ConsentRequired, delegation.GrantsUnavailable, delegation.AccountConflict, delegation.DelegationRefused, delegation.CredentialsRejected, delegation.ScopeRejected,
		delegation.NotDelegated, delegation.IssuerUnavailable, delegation.IssuerThrottled, delegation.UpstreamUnauthorized, delegation.UpstreamRedirected, delegation.UpstreamUnreadable,
	} {
		row := regexp.MustCompile("(?m)^\\| `" + string(code) + "` \\| (\\d+) ").FindStringSubmatch(text)
		if len(row) != 2 {
			t.Errorf("%s is not in the table", code)
			continue
		}
		if want := delegation.Refuse(code, nil).Status(); row[1] != strconv.Itoa(want) {
			t.Errorf("%s: the table says %s, the answer %d", code, row[1], want)
		}
	}
}

// TestReadmeErrorPages protects who copies the error pages: calls get the code
// as JSON, and everything else the page.
func TestReadmeErrorPages(t *testing.T) {
	block := regexp.MustCompile("(?s)```caddyfile\n(handle_errors {.*?\n}\n)```").FindStringSubmatch(readme(t))
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
