// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// administered is a Caddyfile whose Caddy has an admin endpoint.
func administered(caddyfile string) string {
	return strings.Replace(caddyfile, "admin off", "admin unix/[[.Admin]]", 1)
}

// admin speaks to the admin endpoint.
type admin struct {
	t      testing.TB
	client *http.Client
}

func newAdmin(t testing.TB, s *stack.Stack) *admin {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Admin)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return &admin{t, client}
}

func (a *admin) send(method, path, body string, header ...string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// purge wants a purge to be complete, of the named providers.
func (a *admin) purge(body string, providers string) {
	a.t.Helper()
	got := a.send(http.MethodPost, "/delegate/purge", body)
	if want := `{"purged":[` + providers + `],"complete":true,`; got.StatusCode != http.StatusOK || !strings.HasPrefix(got.body, want) {
		a.t.Fatalf("purge %s: %d %s, want %s", body, got.StatusCode, got.body, want)
	}
}

// twoProviders is the stack's Caddyfile with a second account, at /other/.
func twoProviders() string {
	other := strings.Replace(stack.Provider, "provider mydatahelps", "provider other mydatahelps", 1)
	c := strings.Replace(stack.Caddyfile, stack.Provider, stack.Provider+other, 1)
	return administered(strings.Replace(c, "handle {", "handle_path /other/* {"+stack.SignIn+`
		delegate_proxy other {
			subject {rp.header.Remote-User}
			realm elsewhere
		}
	}
	handle {`, 1))
}

// TestAdminPurge protects people who signed out or withdrew, and everybody
// else from losing their tokens for it: just who is selected is looked up and
// minted for anew.
func TestAdminPurge(t *testing.T) {
	const both = `"mydatahelps","other"`
	// Who is warm at the start: alice and bob at the first provider, alice at the other.
	for body, want := range map[string]struct {
		providers                     string
		participants, services, finds int
	}{
		`{"subject":"alice"}`:                                         {both, 2, 0, 2},
		`{"realm":"default","subject":"alice"}`:                       {both, 1, 0, 1},
		`{"realm":"default","subject":"alice","release":true}`:        {both, 1, 0, 1},
		`{"realm":"elsewhere"}`:                                       {both, 1, 0, 1},
		`{"realm":"default"}`:                                         {both, 2, 0, 2},
		`{"realm":"nowhere"}`:                                         {both, 0, 0, 0},
		`{"participant":"` + stack.Alice.ID + `"}`:                    {both, 2, 0, 2},
		`{"participant":"` + stack.Bob.ID + `"}`:                      {both, 1, 0, 1},
		`{"provider":"other","participant":"` + stack.Alice.ID + `"}`: {`"other"`, 1, 0, 1},
		`{"provider":"other"}`:                                        {`"other"`, 1, 1, 1},
		`{}`:                                                          {both, 3, 2, 3},
		``:                                                            {both, 3, 2, 3},
	} {
		t.Run("purge "+strings.Trim(body, "{}"), func(t *testing.T) {
			s := start(t, twoProviders())
			a := newAdmin(t, s)
			alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
			requestAll := func() {
				t.Helper()
				alice.get(participantPath).want(t, http.StatusOK, "")
				bob.get(participantPath).want(t, http.StatusOK, "")
				alice.get(strings.Replace(participantPath, "/mdh/", "/other/", 1)).want(t, http.StatusOK, "")
			}
			requestAll()
			before := s.Platform.Counts()
			a.purge(body, want.providers)
			requestAll()
			after := s.Platform.Counts()
			if p, v, f := after.ParticipantTokens-before.ParticipantTokens, after.ServiceTokens-before.ServiceTokens, after.Lookups-before.Lookups; p != want.participants || v != want.services || f != want.finds {
				t.Errorf("%d participant tokens, %d service tokens, %d lookups after the purge; want %+v", p, v, f, want)
			}
		})
	}
}

// TestAdminRelease protects a user whose participant was merged or enrolled
// again: an operator who has made sure ends the binding, and a plain purge does not.
func TestAdminRelease(t *testing.T) {
	p := stack.Alice
	p.CustomFields = map[string]string{"user": "u-1"}
	s := start(t, administered(strings.Replace(stack.Caddyfile, "participant_identifier", "participant_field user\n\t\t\tparticipant_query user", 1)), p, stack.Bob)
	s.Platform.Set(func(set *simulator.Settings) { set.ListFilterParam, set.ListFilterField = "user", "user" })
	a, u := newAdmin(t, s), signIn(t, s, "u-1")
	u.get(participantPath).want(t, http.StatusOK, "")
	s.Platform.UpdateParticipant(stack.Alice.ID, func(p *simulator.Participant) { p.CustomFields = nil })
	s.Platform.UpdateParticipant(stack.Bob.ID, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": "u-1"} })
	a.purge(`{"realm":"default","subject":"u-1"}`, `"mydatahelps"`)
	u.get(participantPath).want(t, http.StatusConflict, "account_conflict")
	a.purge(`{"realm":"default","subject":"u-1","release":true}`, `"mydatahelps"`)
	got := u.get(participantPath)
	got.want(t, http.StatusOK, "")
	if !strings.Contains(got.body, stack.Bob.ID) {
		t.Errorf("after the release: %s", got.body)
	}
}

// TestAdminRefuses protects from purges that nobody meant: by a page of
// another site, by a mistyped word.
func TestAdminRefuses(t *testing.T) {
	s := start(t, twoProviders())
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		tells              string
	}{
		"form":             {http.MethodPost, "/delegate/purge", "{}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, "Content-Type: application/json"},
		"text":             {http.MethodPost, "/delegate/purge", "{}", []string{"Content-Type", "text/plain; x=/json"}, 400, "Content-Type: application/json"},
		"no type":          {http.MethodPost, "/delegate/purge", "", []string{"Content-Type", ""}, 400, "Content-Type: application/json"},
		"another site":     {http.MethodPost, "/delegate/purge", "{}", []string{"Origin", "https://evil.example"}, 403, "origin"},
		"unknown word":     {http.MethodPost, "/delegate/purge", `{"subjects":"alice"}`, nil, 400, "realm, subject and participant"},
		"empty subject":    {http.MethodPost, "/delegate/purge", `{"subject":""}`, nil, 400, "must not be empty"},
		"unknown provider": {http.MethodPost, "/delegate/purge", `{"provider":"alice"}`, nil, 404, "mydatahelps, other"},
		"too large":        {http.MethodPost, "/delegate/purge", `{"subject":"` + strings.Repeat("alice", 20000) + `"}`, nil, 400, "larger than 65536 bytes"},
		"GET":              {http.MethodGet, "/delegate/purge", "", nil, 405, "use POST"},
		"POST status":      {http.MethodPost, "/delegate/status", "", nil, 405, "use GET"},
	} {
		got := a.send(c.method, c.path, c.body, c.header...)
		var problem struct{ Error string }
		if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.StatusCode != c.status || !strings.Contains(problem.Error, c.tells) {
			t.Errorf("%s: %d %s; want %d that tells %q", name, got.StatusCode, got.body, c.status, c.tells)
		}
		if strings.Contains(got.body, "alice") {
			t.Errorf("%s: Caddy logs the answer, which names the person: %s", name, got.body)
		}
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 1 {
		t.Errorf("%d participant tokens: a refused purge has purged", c.ParticipantTokens)
	}

	load(t, s, "{\n\tadmin unix/[[.Admin]]\n\tpersist_config off\n}\n")
	for method, path := range map[string]string{http.MethodGet: "/delegate/status", http.MethodPost: "/delegate/purge"} {
		if got := a.send(method, path, ""); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "global option `delegate`") {
			t.Errorf("without the app, %s: %d %s", path, got.StatusCode, got.body)
		}
	}
}

// TestAdminStatus protects operators: what is kept, and whether tokens can be
// had. It names nobody.
func TestAdminStatus(t *testing.T) {
	s := start(t, administered(stack.Caddyfile))
	secrets := newWiretap(t, s)
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	status := func() (all map[string]any) {
		t.Helper()
		got := a.send(http.MethodGet, "/delegate/status", "")
		var list struct{ Providers map[string]map[string]any }
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" || len(list.Providers) != 1 {
			t.Fatalf("%d %s %v", got.StatusCode, got.body, err)
		}
		checkNobody(t, "the status", got.body, secrets)
		return list.Providers["mydatahelps"]
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	got := status()
	for field, want := range map[string]any{"kind": "mydatahelps", "ready": true, "reason": nil, "purge_scope": "machine", "entries": 2., "waiting": 0., "minting": 0., "shared": nil} {
		if got[field] != want {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
	s.Platform.Set(func(set *simulator.Settings) { set.TokenError = "invalid_client" })
	a.purge("", `"mydatahelps"`)
	u.get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
	got = status()
	if got["ready"] != false || got["reason"] != "credentials_rejected" || got["entries"] != 0. {
		t.Errorf("after the issuer rejected the account: %v", got)
	}
}

// TestAdminPurgeIncomplete protects operators of several machines from
// believing that all have purged, while this one cannot tell the others.
func TestAdminPurgeIncomplete(t *testing.T) {
	port, err := port.Free() // nobody is there
	if err != nil {
		t.Fatal(err)
	}
	s := newStack(t)
	cache := fmt.Sprintf("delegate {\n\t\tkeyset {file.%s}\n\t\tcache redis redis://127.0.0.1:%d", newKeyset(t), port)
	load(t, s, measured(strings.Replace(stack.Caddyfile, "delegate {", cache, 1)))
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	got := a.send(http.MethodPost, "/delegate/purge", `{"subject":"alice"}`)
	var answer map[string]any
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%d %s %v", got.StatusCode, got.body, err)
	}
	if answer["code"] != "purge_incomplete" || answer["complete"] != false || fmt.Sprint(answer["purged"]) != "[mydatahelps]" || answer["message"] == "" {
		t.Errorf("%s", got.body)
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 2 {
		t.Errorf("%d participant tokens: this machine has not purged", c.ParticipantTokens)
	}
	got = a.send(http.MethodGet, "/delegate/status", "")
	if !strings.Contains(got.body, `"purge_scope":"fleet"`) || !strings.Contains(got.body, `"up":false`) || !strings.Contains(got.body, `"pending_purges":1`) {
		t.Errorf("status %s", got.body)
	}
	values := scrape(t, u.get("/metrics").body)
	for name, want := range map[string]float64{"shared_up": 0, "shared_pending_purges": 1} {
		if value, ok := values[name+`{provider="mydatahelps"}`]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}

// newKeyset is the file of a new keyset.
func newKeyset(t testing.TB) string {
	t.Helper()
	keys, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keyset.json")
	if err := keys.Create(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkNobody fails if a text names alice, her participant or a token.
func checkNobody(t *testing.T, what, text string, secrets *wiretap) {
	t.Helper()
	for kind, canary := range map[string]string{"the user": "alice", "the participant": stack.Alice.ID} {
		if strings.Contains(strings.ToLower(text), canary) {
			t.Errorf("%s names %s:\n%s", what, kind, text)
		}
	}
	found := secrets.list()
	if len(found) < 3 {
		t.Fatalf("only %d secrets were seen on the wire", len(found))
	}
	for kind, secret := range found {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the %s", what, kind)
		}
	}
}
