// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/refusals"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

var isUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// requestID is that of a refusal's JSON.
func (a answer) requestID(t *testing.T) string {
	t.Helper()
	var problem struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || !isUUID.MatchString(problem.RequestID) {
		t.Fatalf("request_id %q, %v in %s", problem.RequestID, err, a.body)
	}
	return problem.RequestID
}

// why is what `caddy delegate why` says at the stack's admin endpoint.
func why(t *testing.T, s *stack.Stack, args ...string) (string, error) {
	t.Helper()
	return command(t, append([]string{"why", "--address", "unix/" + s.Admin}, args...)...)
}

// TestWhy protects the frontend developer and the operator on the phone: the ID in
// a refusal leads to the step, the route, the cause and the mend, whoever has
// refused, over a reload; and to nobody's name.
func TestWhy(t *testing.T) {
	caddyfile := administered(stack.Caddyfile)
	s := start(t, caddyfile)
	secrets := newWiretap(t, s)
	alice, nobody := signIn(t, s, "alice"), signIn(t, s, "nobody")
	denied := alice.get("/mdh/api/v1/administration/" + stack.Alice.ID)
	denied.want(t, http.StatusForbidden, "route_denied")
	unknown := nobody.get(participantPath)
	unknown.want(t, http.StatusForbidden, "participant_unknown")
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
	onTheWire := alice.get(echoPath)
	onTheWire.want(t, http.StatusBadGateway, "upstream_unauthorized")

	// No client says what its ID is: it could be another's.
	own := alice.request(http.MethodGet, "/mdh/api/v1/administration/x", nil)
	for _, name := range []string{"X-Request-Id", "Request-Id", "Uuid"} {
		own.Header.Set(name, denied.requestID(t))
	}
	if got := alice.do(own).requestID(t); got == denied.requestID(t) {
		t.Error("two requests have one ID")
	}

	load(t, s, caddyfile) // what an operator does first
	for _, c := range []struct {
		answer answer
		want   []string
	}{
		{denied, []string{"  route_denied (403)\n", "step      policy\n", "provider  mydatahelps\n", "route     GET no line\n", "cause     ", "mend      no allow line covers"}},
		{unknown, []string{"  participant_unknown (403)\n", "step      participant\n", "route     GET /api/v1/delegated/**\n", "mend      no user is found"}},
		{onTheWire, []string{"  upstream_unauthorized (502)\n", "step      upstream\n", "base_url"}},
	} {
		out, err := why(t, s, c.answer.requestID(t))
		if err != nil || strings.Count(out, "  step ") != 1 {
			t.Errorf("%v: %s", err, out)
		}
		contains(t, out, append(c.want, "request   "+c.answer.requestID(t)+"\n")...)
		checkNobody(t, "why", out, secrets)
	}

	out, err := why(t, s, "--last", "2")
	if err != nil || strings.Count(out, "  request ") != 2 || !strings.Contains(out, "route_denied") || !strings.Contains(out, onTheWire.requestID(t)) {
		t.Errorf("the newest two: %v: %s", err, out)
	}
	if out, err = why(t, s, "--last", "500", "--code", "participant_unknown", "--json"); err != nil || !strings.Contains(out, unknown.requestID(t)) || strings.Contains(out, "route_denied") {
		t.Errorf("%v: %s", err, out)
	}
	checkNobody(t, "why --json", out, secrets)
}

// TestWhySession protects who is refused before any provider is asked for: the ID
// is there, of app_session too.
func TestWhySession(t *testing.T) {
	s := start(t, administered(newLogin(t).caddyfile("")))
	got := signIn(t, s, "alice").get(participantPath)
	got.want(t, http.StatusUnauthorized, "session_required")
	out, err := why(t, s, got.requestID(t))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, out, "session_required (401)", "step      session\n", "mend      nobody is signed in")
}

// TestWhyInTheLog protects operators whose process was started anew: the log has
// the same ID, and so has Caddy's access log.
func TestWhyInTheLog(t *testing.T) {
	caddyfile, file := logged(t, strings.Replace(stack.Caddyfile, "handle {", "log\n\thandle {", 1))
	s := start(t, caddyfile)
	id := signIn(t, s, "alice").get("/mdh/api/v1/administration/x").requestID(t)
	refused, text := lines(t, file, "refused")
	if len(refused) != 1 || refused[0]["request_id"] != id {
		t.Errorf("%v, want the ID %s", refused, id)
	}
	if !strings.Contains(text, `"uuid":"`+id+`"`) {
		t.Errorf("the access log lacks %s:\n%s", id, text)
	}
}

// TestWhyNot protects who asks the wrong machine, or none: they are told what to do
// next.
func TestWhyNot(t *testing.T) {
	s := start(t, administered(stack.Caddyfile))
	_, err := why(t, s, "00000000-0000-4000-8000-000000000000")
	if err == nil {
		t.Fatal("an ID that nobody has was found")
	}
	contains(t, err.Error(), "no refusal of that request", "--address", "logs")
	for args, want := range map[string]string{"--last 0": "--last is a number"} {
		if _, err := why(t, s, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	file := configFile(t, s, administered(stack.Caddyfile))
	if out, err := command(t, "why", "--config", file, "--adapter", "caddyfile", "--code", "upstream_down"); err != nil || !strings.Contains(out, "nothing was refused since") && !strings.Contains(out, "upstream_down (503)") { // of another test's Caddy
		t.Errorf("%v: %s", err, out)
	}
	none := filepath.Join(t.TempDir(), "none.sock")
	if _, err = command(t, "why", "--address", "unix/"+none, "x"); err == nil {
		t.Fatal("nobody was there, and has answered")
	}
	contains(t, err.Error(), none, "see that Caddy runs", "--address")

	a := newAdmin(t, s)
	if got := a.send(http.MethodPost, "/delegate/refusals?last=1", "{}"); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.StatusCode)
	}
	if got := a.send(http.MethodGet, "/delegate/refusals", ""); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, "request_id") {
		t.Errorf("without a question: %d %s", got.StatusCode, got.body)
	}
}

// TestWhyOfEveryCode protects operators: each code of the module has a step, which
// for a code that was forgotten would be that of the wiring.
func TestWhyOfEveryCode(t *testing.T) {
	codes := sourceCode(t).constants("Code")
	if len(codes) < 30 {
		t.Fatalf("%d codes were found", len(codes))
	}
	for _, code := range codes {
		if wiring := refusals.StepOf(delegation.Code(code)) == refusals.StepWiring; wiring != (code == string(delegation.NotDelegated)) {
			t.Errorf("%s has the step %s: it needs a line in refusals/step.go", code, refusals.StepOf(delegation.Code(code)))
		}
	}
	for _, step := range sourceCode(t).constants("Step") {
		contains(t, troubleshooting(t), "`"+step+"`")
	}
}
