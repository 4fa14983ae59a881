// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// TestA4_Forgotten protects a member who disconnects for good from whoever gets
// the keyset and the files of the database, today or with a later backup: by
// every way in which a key ends it can be read no more, and everybody else's
// still can.
func TestA4_Forgotten(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		c := startMydex(t, "", "")
		dir := filepath.Join(c.Dir, "grants")
		database := filepath.Join(dir, "grants.db")
		db, err := sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		text, err := os.ReadFile(filepath.Join(dir, "keyset.json"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		forgets(t, c, "", db, string(text), func() map[string][]byte {
			n++
			kept := t.TempDir()
			backup, vacuumed := filepath.Join(kept, "backup.db"), filepath.Join(kept, "vacuumed.db")
			program(t, "sqlite3", database, ".backup "+backup, "VACUUM INTO '"+vacuumed+"'")
			all := map[string][]byte{"the file and its log": folder(t, dir)}
			for name, file := range map[string]string{"a backup": backup, "VACUUM INTO": vacuumed} {
				if all[name], err = os.ReadFile(file); err != nil {
					t.Fatal(err)
				}
			}
			return all
		})
	})
	t.Run("postgres", func(t *testing.T) {
		server, lines := postgresGrants(t)
		c := startMydex(t, lines, "")
		db, err := sql.Open("pgx", os.Getenv("DATABASE"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		_, file, _ := strings.Cut(lines, "{file.")
		file, _, _ = strings.Cut(file, "}")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dir string
		if err := db.QueryRowContext(t.Context(), "SELECT current_setting('data_directory')").Scan(&dir); err != nil {
			t.Fatal(err)
		}
		forgets(t, c, lines, db, string(text), func() map[string][]byte {
			if _, err := db.ExecContext(t.Context(), "CHECKPOINT"); err != nil {
				t.Fatal(err)
			}
			dump := filepath.Join(t.TempDir(), "dump")
			// Hexadecimal, so not for the thief's eyes as it is.
			program(t, server.Program("pg_dump"), "--format=plain", "--file", dump, os.Getenv("DATABASE"))
			text, err := os.ReadFile(dump)
			if err != nil {
				t.Fatal(err)
			}
			return map[string][]byte{"the relations": folder(t, filepath.Join(dir, "base")), "a dump": unhex(text)}
		})
	})
}

// forgets has members' keys end in every way, and looks for them in all there is.
func forgets(t *testing.T, c *connection, lines string, db *sql.DB, keys string, take func() map[string][]byte) {
	k, err := keyset.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	h := &keyHolder{t: t, db: db, keys: k}
	members := c.mydex.Members()
	people := map[string]string{"stays": members[0].UID, "forgets": members[1].UID, "deleted": members[2].UID, "renews": members[3].UID, "told": members[4].UID}
	secrets := make(map[string]string)
	browsers := make(map[string]*browser)
	for _, who := range []string{"stays", "forgets", "deleted", "renews", "told"} {
		b := c.browser(who)
		browsers[who] = b
		if who == "told" { // and does not come back
			b.agree(b.start("/start"), people[who])
		} else {
			b.connect(people[who])
		}
		member, _ := c.mydex.Connection(people[who])
		secrets[who] = member.Key
		h.noteRows(people) // also what is replaced by the next
	}
	// The control. A table may have been written anew since the last checkpoint.
	eventually(t, "every key that is in use is found everywhere", func() bool {
		for where, raw := range take() {
			for who, secret := range secrets {
				if secret == "" || !h.finds(raw, secret) {
					t.Logf("the key of %q is not in %s", who, where)
					return false
				}
			}
		}
		return true
	})
	browsers["forgets"].do(http.MethodDelete, "/connect/mydex/", "").want(t, http.StatusNoContent, "")
	var list []struct{ ID, Subject string }
	file := configFile(t, c.Stack, c.caddyfile(lines, ""))
	out, err := command(t, "grants", "list", "--json", "--config", file, "--adapter", "caddyfile")
	if jsonErr := json.Unmarshal([]byte(out), &list); err != nil || jsonErr != nil {
		t.Fatal(err, jsonErr, out)
	}
	for _, g := range list {
		if g.Subject == "deleted" {
			if out, err = command(t, "grants", "delete", g.ID, "--yes", "--config", file); err != nil {
				t.Fatal(err, out)
			}
		}
	}
	c.mydex.Withdraw(people["renews"])
	browsers["renews"].connect(people["renews"])
	if member, _ := c.mydex.Connection(people["renews"]); member.Key == secrets["renews"] {
		t.Fatal("the platform has given the same key again: the test shows nothing")
	}
	h.noteRows(people)
	if _, err := db.ExecContext(t.Context(), "UPDATE journeys SET expires = 1 WHERE state = 'staged'"); err != nil {
		t.Fatal(err)
	}
	// What is over is swept, and what is replaced is erased, in the background.
	var found string
	t.Cleanup(func() {
		if found != "" {
			t.Log("still there:", found)
		}
	})
	within(t, 2*time.Minute, "nothing of it can be read", func() bool {
		found = ""
		for where, raw := range take() {
			for who, secret := range secrets {
				if who != "stays" && h.finds(raw, secret) {
					found = "the key of " + who + " in " + where
				}
			}
			if !h.finds(raw, secrets["stays"]) {
				found = "and the key in use is not in " + where
			}
		}
		return found == ""
	})
	browsers["stays"].do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	browsers["renews"].do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}
