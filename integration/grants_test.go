// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGrantsRotation protects members while the keyset that was made beside the
// database is rotated as the page on grants says: the running Caddy finds everybody at
// each step, and after sealing anew.
func TestGrantsRotation(t *testing.T) {
	c := startMydex(t, "", "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	file, keys := configFile(t, c.Stack, c.caddyfile("", "")), filepath.Join(c.Dir, "grants", "keyset.json")
	for range 2 {
		if out, err := command(t, "keyset", "rotate", keys); err != nil {
			t.Fatal(err, out)
		}
		// On another port: the old one may still take a connection and end it.
		load(t, c.Stack, c.caddyfile("", ""))
		c.browser("alice").status("connected")
	}
	if out, err := command(t, "grants", "reseal", "--config", file); err != nil || !strings.Contains(out, "Sealed 2 ") {
		t.Error(err, out)
	}
	again := c.browser("alice")
	again.status("connected")
	again.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	// Without the keyset nothing is found, and Caddy says so instead of asking
	// everybody to consent anew.
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(c.caddyfile("", "")); err == nil || !strings.Contains(err.Error(), "put back the file from your backup") {
		t.Errorf("without the keyset: %v", err)
	}
}

// TestGrantsCommand protects a member who asks to be forgotten, and one whose
// name at the app changes: what an operator does beside the running Caddy is
// done there, and the operator sees no key.
func TestGrantsCommand(t *testing.T) {
	c := startMydex(t, "", "")
	alice, bob := c.browser("alice"), c.browser("bob")
	uid := c.mydex.Members()[0].UID
	alice.connect(uid)
	member, _ := c.mydex.Connection(uid)
	file := configFile(t, c.Stack, c.caddyfile("", ""))
	run := func(works bool, args ...string) string {
		t.Helper()
		out, err := command(t, append([]string{"grants", "--config", file, "--adapter", "caddyfile"}, args...)...)
		if (err == nil) != works {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		for _, secret := range []string{member.Key, mydexToken, mydexSecret} {
			if secret == "" || strings.Contains(out, secret) {
				t.Errorf("%q prints a secret", args)
			}
		}
		return out
	}
	var list []struct{ ID, Subject, Account, State string }
	if err := json.Unmarshal([]byte(run(true, "list", "--json")), &list); err != nil || len(list) != 1 || list[0].Subject != "alice" || list[0].Account != uid || list[0].State != "active" {
		t.Fatalf("%v %+v", err, list)
	}
	if out := run(true, "decisions"); !strings.Contains(out, "Nothing was decided yet.") {
		t.Error(out)
	}
	run(true, "move", list[0].ID, "--subject", "bob")
	alice.status("none")
	bob.status("connected")
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	run(true, "release", list[0].ID)
	bob.status("none")
	run(true, "delete", list[0].ID, "--yes")
	run(false, "delete", list[0].ID, "--yes")
	// Whoever has to account for it finds what was done, also to what is gone.
	var actions []string
	for line := range strings.Lines(run(true, "decisions", "--json")) {
		var d struct{ At, Action, Grant, By string }
		if err := json.Unmarshal([]byte(line), &d); err != nil || d.At == "" || d.By == "" || d.Grant != list[0].ID {
			t.Errorf("%v: %s", err, line)
		}
		actions = append(actions, d.Action)
	}
	if want := []string{"move", "release", "delete"}; !slices.Equal(actions, want) {
		t.Errorf("%q", actions)
	}
	if out := run(true, "decisions"); strings.Count(out, list[0].ID) != 3 {
		t.Error(out)
	}
}
