// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGrantsCommand protects a member who asks to be forgotten, and one whose
// name at the app changes: what an operator does beside the running Caddy is
// done there, and the operator sees no key.
func TestGrantsCommand(t *testing.T) {
	c := mydexed(t, "", "")
	alice, bob := c.browser("alice"), c.browser("bob")
	uid := c.mydex.Members()[0].UID
	alice.connect(uid)
	member, _ := c.mydex.Connection(uid)
	text, err := c.Render(c.caddyfile("", ""))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
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
	run(true, "move", list[0].ID, "--subject", "bob")
	alice.status("none")
	bob.status("connected")
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	run(true, "release", list[0].ID)
	bob.status("none")
	run(true, "delete", list[0].ID, "--yes")
	run(false, "delete", list[0].ID, "--yes")
}
