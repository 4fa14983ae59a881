// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const projectPath = "/mdh/api/v1/delegated/project"

// scoped is a Caddyfile with two routes, each with a scope of its own, and
// /mdh-token for a third one. X-Cache tells whether the token was at hand.
func scoped() string {
	return strings.Replace(proxied(`allow GET /api/v1/delegated/participant Participant:read
			allow GET /api/v1/delegated/project Project:read`, `header >X-Cache {http.delegate.cache}
	handle /mdh-token {`+stack.SignIn+`
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
			scopes  SurveyAnswers:read
		}
	}`), "scopes          api ", "scopes          ", 1)
}

// await polls until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(20 * time.Second); !so(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// hold has the platform keep what arrives in an area until release is called.
func hold(t testing.TB, s *stack.Stack, area string) (release func()) {
	t.Helper()
	set := func(outages map[string]simulator.Outage) {
		s.Platform.Set(func(set *simulator.Settings) { set.Outages = outages })
	}
	set(map[string]simulator.Outage{area: {Hold: true}})
	release = sync.OnceFunc(func() { set(nil) })
	t.Cleanup(release)
	return release
}

// arrived waits until the token endpoint has received n requests.
func arrived(t testing.TB, s *stack.Stack, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%d token requests", n), func() bool { return s.Platform.Counts().TokenRequests >= n })
}

// unkept has Caddy's forward_auth keep no connections. It leaves idle ones
// behind, with each reload too, for the two minutes that are its default.
func unkept(caddyfile string) string {
	return strings.ReplaceAll(caddyfile, "uri /auth", "uri /auth\n\t\t\ttransport http {\n\t\t\t\tkeepalive off\n\t\t\t}")
}

// unlimited takes the platform's quotas away.
func unlimited(s *stack.Stack) {
	s.Platform.Set(func(set *simulator.Settings) { set.AdminQuota, set.DelegatedQuota = 0, 0 })
}

// form is a token request's. The request can be read once more.
func form(r *http.Request) url.Values {
	sent, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(sent))
	values, _ := url.ParseQuery(string(sent))
	return values
}

// crowd are signed-in users who do things at once.
type crowd struct {
	t    testing.TB
	wait sync.WaitGroup
}

// get has a user ask for a path, and want the status and, if it is a refusal,
// the code. The answer is checked by further, unless that is nil.
func (c *crowd) get(u *user, path string, status int, code string, further func(answer)) {
	req := u.request(http.MethodGet, path, nil)
	c.wait.Go(func() {
		a, err := u.try(req)
		switch {
		case err != nil:
			c.t.Error(err)
		case a.StatusCode != status || a.code() != code:
			c.t.Errorf("%s: %d %q, want %d %q; body %s", path, a.StatusCode, a.code(), status, code, a.body)
		case further != nil:
			further(a)
		}
	})
}

// code is the one of a refusal; "" for the platform's own answers.
func (a answer) code() string {
	_, details, _ := strings.Cut(a.Header.Get("Proxy-Status"), `details="`)
	return strings.TrimSuffix(details, `"`)
}

// owner is whose record the platform's answer is.
func (a answer) owner() string {
	var record struct{ ParticipantID string }
	_ = json.Unmarshal([]byte(a.body), &record)
	return record.ParticipantID
}

// bearers are the tokens of the calls that the platform's API received, by path.
func bearers(s *stack.Stack) map[string][]string {
	all := make(map[string][]string)
	for _, r := range s.Platform.Records() {
		if r.Area == "delegated" {
			path, _, _ := strings.Cut(r.URI, "?")
			all[path] = append(all[path], r.Header.Get("Authorization"))
		}
	}
	return all
}

// status is what the admin endpoint tells of a provider.
func (a *admin) status(provider string) (s struct {
	Entries    int
	Remembered int `json:"remembered_failures"`
	Waiting    int
	Minting    int
	Issuer     struct{ State, Code string }
},
) {
	a.t.Helper()
	got := a.send(http.MethodGet, "/delegate/status", "")
	var all struct{ Providers map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(got.body), &all); err != nil {
		a.t.Fatalf("%v: %s", err, got.body)
	}
	if err := json.Unmarshal(all.Providers[provider], &s); err != nil {
		a.t.Fatalf("%v: %s", err, got.body)
	}
	return s
}

// waiting waits until n requests wait for a token.
func (a *admin) waiting(n int) {
	a.t.Helper()
	await(a.t, fmt.Sprintf("%d waiting requests", n), func() bool { return a.status("mydatahelps").Waiting == n })
}
