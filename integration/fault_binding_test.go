// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// bound is a Caddyfile by which participants are found by a custom field that
// they can write.
func bound(lines string) string {
	text := strings.Replace(stack.Caddyfile, "participant_identifier", "participant_field user\n\t\t\tparticipant_query user", 1)
	return administered(strings.Replace(text, "\tdelegate {", "\tdelegate {"+lines, 1))
}

func named(p simulator.Participant, user string) simulator.Participant {
	p.CustomFields = map[string]string{"user": user}
	return p
}

// swap has bob write alice's name into his field, while she has another.
func swap(s *stack.Stack) {
	s.Platform.UpdateParticipant(stack.Alice.ID, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": "elsewhere"} })
	s.Platform.UpdateParticipant(stack.Bob.ID, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": "u-alice"} })
}

func filtered(s *stack.Stack) {
	s.Platform.Set(func(set *simulator.Settings) { set.ListFilterParam, set.ListFilterField = "user", "user" })
}

// TestD7_BindingSurvivesRestart protects users whose participant is found by a
// custom field from a participant who waits for a restart to write their name:
// the binding is kept, without a line of configuration, until an operator ends it.
func TestD7_BindingSurvivesRestart(t *testing.T) {
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(""))
	signIn(t, s, "u-alice").get(participantPath).want(t, http.StatusOK, "")
	swap(s)
	if err := s.Restart(bound("")); err != nil {
		t.Fatal(err)
	}
	signIn(t, s, "u-alice").get(participantPath).want(t, http.StatusConflict, "account_conflict")
	// The operator sees whom it is about, without a secret.
	file := configFile(t, s, bound(""))
	out, err := command(t, "grants", "list", "--config", file)
	if err != nil || !strings.Contains(out, "u-alice") || !strings.Contains(out, stack.Alice.ID) {
		t.Errorf("%v %s", err, out)
	}
	newAdmin(t, s).purge(`{"realm":"default","subject":"u-alice","release":true}`, `"mydatahelps"`)
	got := signIn(t, s, "u-alice").get(participantPath)
	got.want(t, http.StatusOK, "")
	if !strings.Contains(got.body, stack.Bob.ID) {
		t.Errorf("after the release: %s", got.body)
	}
}

// TestD7_BindingIsShared protects the same from somebody who asks another
// machine, and from a database that is away: who was bound here goes on, nobody
// else is let in.
func TestD7_BindingIsShared(t *testing.T) {
	server, lines := postgresGrants(t)
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(lines))
	signIn(t, s, "u-alice").get(participantPath).want(t, http.StatusOK, "")
	a := newAdmin(t, s)
	server.Kill()
	a.purge(`{"realm":"default","subject":"u-alice"}`, `"mydatahelps"`) // as a sign-out does
	signIn(t, s, "u-alice").get(participantPath).want(t, http.StatusOK, "")
	signIn(t, s, "u-bob").get(participantPath).want(t, http.StatusServiceUnavailable, "grants_unavailable")
	got := a.send(http.MethodPost, "/delegate/purge", `{"realm":"default","subject":"u-alice","release":true}`)
	if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got.body, "not_released") {
		t.Errorf("a release that cannot be done: %d %s", got.StatusCode, got.body)
	}
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	// Another machine, with nothing but the database in common.
	swap(s)
	if err := s.Restart(bound(lines)); err != nil {
		t.Fatal(err)
	}
	signIn(t, s, "u-alice").get(participantPath).want(t, http.StatusConflict, "account_conflict")
	if _, err := os.Stat(filepath.Join(s.Dir, "data", "caddy", "delegate")); err == nil {
		t.Error("a database was made beside the one that is configured")
	}
}

// TestD7_RefusedThenAway protects a participant from the user that they were
// bound to before: whom the database has refused is not let in as that
// participant because it is away, and this process remembers what was.
func TestD7_RefusedThenAway(t *testing.T) {
	server, lines := postgresGrants(t)
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(lines))
	alice := signIn(t, s, "u-alice")
	alice.get(participantPath).want(t, http.StatusOK, "")
	file := configFile(t, s, bound(lines))
	out, err := command(t, "grants", "list", "--config", file, "--json")
	if err != nil {
		t.Fatal(err, out)
	}
	id := regexp.MustCompile(`"id":\s*"([^"]+)"`).FindStringSubmatch(out)
	if out, err = command(t, "grants", "move", id[1], "--subject", "u-carol", "--config", file); err != nil {
		t.Fatal(err, out)
	}
	a := newAdmin(t, s)
	signOut := func() { a.purge(`{"realm":"default","subject":"u-alice"}`, `"mydatahelps"`) }
	signOut()
	alice.get(participantPath).want(t, http.StatusConflict, "account_conflict") // this process was told
	server.Kill()
	signOut()
	alice.get(participantPath).want(t, http.StatusServiceUnavailable, "grants_unavailable")
}
