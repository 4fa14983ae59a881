// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
)

// TestGrantsCommand protects a conflict's two parties and their operator: what
// is decided is done, beside a store that is in use, and recorded with who did
// it; what is in the way is named; and no key is ever printed.
func TestGrantsCommand(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			address := ""
			if kind == "postgres" {
				server, err := postgres.Start()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = server.Stop() })
				if address, err = server.Database(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			f := newOffice(t, address)
			f.says(true, []string{"list"}, "There is no such grant.")
			alice, mallory := f.connect("alice", "4020"), f.connect("mallory", "4020")
			f.says(true, []string{"list"}, "SUBJECT", alice, "alice", "active", mallory, "mallory", "conflict", "4020")
			for _, step := range []struct {
				works bool
				args  []string
				wants []string
			}{
				{false, []string{"move", mallory, "--subject", "mallory"}, []string{"grant " + alice + " of subject alice", "release that one first"}},
				{true, []string{"release", alice}, []string{"Released", alice, "30 seconds", "/delegate/purge"}},
				{false, []string{"move", mallory}, []string{"add --subject"}},
				{true, []string{"move", mallory, "--subject", "mal\x1b[2J", "--realm", "other"}, []string{`"mal\x1b[2J" of realm other`, "30 seconds"}},
				{false, []string{"move", "none", "--subject", "alice"}, []string{"no grant none"}},
				{false, []string{"release", "none"}, []string{"no grant none"}},
				{false, []string{"delete", "none", "--yes"}, []string{"no grant none"}},
				{false, []string{"delete", alice}, []string{"nothing was deleted", "--yes"}},
				{true, []string{"delete", alice, "--yes"}, []string{"Deleted", alice, "30 seconds"}},
				{true, []string{"reseal"}, []string{"Sealed 0"}},
			} {
				f.says(step.works, step.args, step.wants...)
			}
			if out := f.run(true, "list"); strings.Contains(out, alice) || strings.Contains(out, "\x1b") || !strings.Contains(out, "other") {
				t.Error(out)
			}
			f.recorded(address, 4)
		})
	}
}

// TestGrantsExport protects who asks what is kept of them: it is all of theirs,
// nobody else's, and a machine can read it.
func TestGrantsExport(t *testing.T) {
	f := newOffice(t, "")
	alice := f.connect("alice", "1")
	f.connect("bob", "2")
	f.connect("bob", "1")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"export"}, 3},
		{[]string{"export", "--subject", "alice"}, 1},
		{[]string{"export", "--subject", "bob", "--realm", "app"}, 2},
		{[]string{"export", "--realm", "other"}, 0},
	} {
		out := f.run(true, c.args...)
		if n := strings.Count(out, `{"id":`); n != c.want || !strings.Contains(out, fmt.Sprintf("Exported %d ", c.want)) {
			t.Errorf("%q: %d of %d:\n%s", c.args, n, c.want, out)
		}
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(f.run(true, "list", "--json", "--state", "active", "--provider", "mydex")), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v %v", err, list)
	}
	got := list[0]
	if got["id"] != alice || got["provider"] != "mydex" || got["realm"] != "app" || got["subject"] != "alice" || got["account"] != "1" || len(got) != 8 {
		t.Errorf("%v", got)
	}
	if out := strings.TrimSpace(f.run(true, "list", "--json", "--provider", "none")); out != "[]" {
		t.Error(out)
	}
}

// TestGrantsReseal protects the keys of members over a rotation: the operator
// is told what the next one would lose, and can do something about it.
func TestGrantsReseal(t *testing.T) {
	f := newOffice(t, "")
	f.connect("alice", "1")
	for range 2 {
		if _, err := delegateCommand(t, "keyset", "rotate", f.keys); err != nil {
			t.Fatal(err)
		}
	}
	f.says(true, []string{"list"}, "alice", "Warning: 2 ", "grants reseal")
	f.says(true, []string{"reseal"}, "Sealed 2 ")
	if out := f.run(true, "list"); strings.Contains(out, "Warning") {
		t.Error(out)
	}
}

// TestGrantsDamaged protects from a single bad row: the operator is told which
// one it is, and can be rid of it.
func TestGrantsDamaged(t *testing.T) {
	f := newOffice(t, "")
	id := f.connect("alice", "1")
	if _, err := f.database("").ExecContext(t.Context(), "UPDATE grants SET owner = secret"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"export"}, {"release", id}, {"move", id, "--subject", "bob"}} {
		f.says(false, args, id, "backup")
	}
	f.says(true, []string{"delete", id, "--yes"}, "Deleted")
	f.says(true, []string{"list"}, "There is no such grant.")
}

// TestGrantsRefused protects the grants from an operator's slip. Run as another
// user, or without the keyset, a command begins nothing new; a mistake in a
// line does nothing; and scripts see that it failed.
func TestGrantsRefused(t *testing.T) {
	f := newOffice(t, "")
	id := f.connect("alice", "1")
	for want, args := range map[string][]string{
		"--state":            {"list", "--state", "gone"},
		"flags only":         {"list", id},
		"name one grant":     {"release"},
		"name one grant, by": {"release", id, id},
		"by its id":          {"delete", "", "--yes"},
		"unknown command":    {"remove"},
	} {
		f.says(false, args, want)
	}

	folder := filepath.Dir(f.keys)
	aside := folder + ".aside"
	if err := os.Rename(folder, aside); err != nil {
		t.Fatal(err)
	}
	f.says(false, []string{"list"}, "there is no "+filepath.Join(folder, "grants.db"), "the user Caddy runs as")
	if _, err := os.Stat(folder); err == nil {
		t.Error("it made a new one")
	}
	if err := os.Rename(aside, folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.keys, f.keys+".aside"); err != nil {
		t.Fatal(err)
	}
	f.says(false, []string{"list"}, "is gone", "backup")
	other, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Create(f.keys); err != nil {
		t.Fatal(err)
	}
	f.says(false, []string{"delete", id, "--yes"}, "keys that this keyset does not have", "nothing was changed")
	if err := os.Rename(f.keys+".aside", f.keys); err != nil {
		t.Fatal(err)
	}
	f.says(true, []string{"list"}, id, "active")

	for name, text := range map[string]string{
		"no global option delegate": `{"apps":{}}`,
		"grants is not as":          `{"apps":{"delegate":{"grants":"CANARY-member-key"}}}`,
		"add `keyset":               `{"apps":{"delegate":{"grants":{"postgres":"postgres://a:CANARY-member-key@127.0.0.1:1/x"}}}}`,
		"variable is set":           `{"apps":{"delegate":{"grants":{"postgres":"{env.CANARY_UNSET}"}}}}`,
		"opening the grants in PostgreSQL": `{"apps":{"delegate":{"keyset":"{file.` + f.keys +
			`}","grants":{"postgres":"postgres://a:CANARY-member-key@127.0.0.1:1/x"}}}}`,
	} {
		if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.says(false, []string{"list"}, name)
	}
}
