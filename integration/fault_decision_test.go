// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// decided runs a command on a user's binding, as an operator does beside a
// running Caddy.
func decided(t *testing.T, s *stack.Stack, lines, user string, words ...string) {
	t.Helper()
	file := configFile(t, s, bound(lines))
	out, err := command(t, "grants", "export", "--subject", user, "--config", file)
	id := regexp.MustCompile(`"id":\s*"([^"]+)"`).FindStringSubmatch(out)
	if err != nil || id == nil {
		t.Fatal(err, out)
	}
	words = append([]string{"grants", words[0], id[1], "--config", file}, words[1:]...)
	if out, err := command(t, words...); err != nil {
		t.Fatal(err, out)
	}
}

// belongs has a participant's field name another user.
func belongs(s *stack.Stack, id, user string) {
	s.Platform.UpdateParticipant(id, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": user} })
}

// TestBindingDecisionIsHeard protects a participant's data from the user whom an
// operator has found not to be them: what `grants move` and `delete` decide is
// used by a running Caddy within 30 seconds, as the page on grants says.
func TestBindingDecisionIsHeard(t *testing.T) {
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(""))
	alice, bob, carol := signIn(t, s, "u-alice"), signIn(t, s, "u-bob"), signIn(t, s, "u-carol")
	alice.get(participantPath).want(t, http.StatusOK, "")
	bob.get(participantPath).want(t, http.StatusOK, "")
	decided(t, s, "", "u-alice", "move", "--subject", "u-carol")
	belongs(s, stack.Alice.ID, "u-carol")
	decided(t, s, "", "u-bob", "delete", "--yes")
	belongs(s, stack.Bob.ID, "elsewhere")
	deadline := time.Now().Add(31 * time.Second)
	for name, user := range map[string]*user{"u-alice": alice, "u-bob": bob} {
		for user.get(participantPath).StatusCode == http.StatusOK {
			if time.Now().After(deadline) {
				t.Fatalf("31 s after the decision %s is still who they were", name)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	carol.get(participantPath).want(t, http.StatusOK, "")
}

// TestRefusedStaysRefusedWithoutDatabase protects the same while the database is
// away: who was refused by it is not let in by what this process knew before.
func TestRefusedStaysRefusedWithoutDatabase(t *testing.T) {
	server, lines := postgresGrants(t)
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(lines))
	alice := signIn(t, s, "u-alice")
	alice.get(participantPath).want(t, http.StatusOK, "")
	decided(t, s, lines, "u-alice", "move", "--subject", "u-carol")
	a := newAdmin(t, s)
	a.purge(`{"realm":"default","subject":"u-alice"}`, `"mydatahelps"`)
	alice.get(participantPath).want(t, http.StatusConflict, "account_conflict")
	server.Kill()
	a.purge(`{"realm":"default","subject":"u-alice"}`, `"mydatahelps"`)
	alice.get(participantPath).want(t, http.StatusServiceUnavailable, "grants_unavailable")
}

// TestBindingOutlivesSettings protects users from a participant who waits for an
// operator to write the same settings in other words, or to change how
// participants are found.
func TestBindingOutlivesSettings(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"the subject's placeholder, written out": func(c string) string {
			return strings.Replace(c, "participant_field user\n", "participant_field user {rp.header.Remote-User}\n", 1)
		},
		"another name of the same host": func(c string) string { return strings.Replace(c, "[[.PlatformURL]]", "[[.ByName]]", 1) },
		"another way to the field":      func(c string) string { return strings.Replace(c, "participant_query user\n", "\n", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
			filtered(s)
			load(t, s, bound(""))
			u := signIn(t, s, "u-alice")
			u.get(participantPath).want(t, http.StatusOK, "")
			swap(s)
			after := strings.Replace(change(bound("")), "[[.ByName]]", strings.Replace(s.PlatformURL, "127.0.0.1", "localhost", 1), 1)
			if after == bound("") {
				t.Fatal("nothing has changed")
			}
			load(t, s, after)
			u.get(participantPath).want(t, http.StatusConflict, "account_conflict")
		})
	}
}

// TestBindingsOfAnotherProject protects an operator from not seeing that with
// another project, perhaps a mistaken one, all bindings count for nothing.
func TestBindingsOfAnotherProject(t *testing.T) {
	s := newStack(t, named(stack.Alice, "u-alice"))
	filtered(s)
	text, log := logged(t, bound(""))
	load(t, s, text)
	u := signIn(t, s, "u-alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	const told = `"pins":1`
	if says(t, log, told) != 0 {
		t.Error("told without a reason")
	}
	load(t, s, strings.Replace(text, stack.Project, strings.Replace(stack.Project, "a001", "a002", 1), 1))
	_ = u.get(participantPath) // whatever the platform says of that project
	eventually(t, "the log tells of the other project's", func() bool { return says(t, log, told) == 1 })
}

// TestReleaseMeetsLookup protects a user whom the operator has released from the
// look-up that was under way: it must not bind them again to whom it had found.
func TestReleaseMeetsLookup(t *testing.T) {
	s := newStack(t, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	filtered(s)
	load(t, s, bound(""))
	u := signIn(t, s, "u-alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	a := newAdmin(t, s)
	a.purge(`{"realm":"default","subject":"u-alice"}`, `"mydatahelps"`) // a sign-out: looked up anew
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := true
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/participants") || !first {
			platform.ServeHTTP(w, r)
			return
		}
		first = false
		before := httptest.NewRecorder()
		platform.ServeHTTP(before, r) // read before the release
		close(reached)
		<-goOn
		maps.Copy(w.Header(), before.Header())
		w.WriteHeader(before.Code)
		_, _ = bytes.NewReader(before.Body.Bytes()).WriteTo(w)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = u.try(u.request(http.MethodGet, participantPath, nil))
	}()
	<-reached
	swap(s)
	a.purge(`{"realm":"default","subject":"u-alice","release":true}`, `"mydatahelps"`)
	close(goOn)
	<-done
	again := u.get(participantPath)
	again.want(t, http.StatusOK, "")
	if again.owner() != stack.Bob.ID {
		t.Errorf("after the release u-alice is %s", again.owner())
	}
}
