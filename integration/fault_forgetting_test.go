// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// thief has the keyset, and all that the database has ever told: the rows as
// they are and as they were.
type thief struct {
	t    *testing.T
	db   *sql.DB
	keys *keyset.Keyset
	rows []stolenRow
}

// stolenRow is a row of grants or journeys.
type stolenRow struct {
	places [][]byte // what its values may be sealed with, as associated data
	sealed [][]byte // its values
	key    string   // the id of the row's key
}

// place is the associated data of a sealed value.
func place(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	return b
}

// look notes the rows that there are, of these people and accounts.
func (h *thief) look(people map[string]string) {
	h.t.Helper()
	columns := ""
	if _, err := h.db.ExecContext(h.t.Context(), "SELECT row_key FROM grants"); err == nil {
		columns = ", row_key"
	}
	read := func(text string, make func(cells [][]byte) stolenRow, n int) {
		h.t.Helper()
		rows, err := h.db.QueryContext(h.t.Context(), text)
		if err != nil {
			h.t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			cells := make2(n, columns != "")
			if err := rows.Scan(cells.into...); err != nil {
				h.t.Fatal(err)
			}
			row := make(cells.values)
			if columns != "" {
				row.key = string(cells.values[n])
			}
			h.rows = append(h.rows, row)
		}
	}
	read("SELECT id, owner, secret"+columns+" FROM grants", func(c [][]byte) stolenRow {
		row := stolenRow{sealed: c[1:3], places: [][]byte{place("owner of grant", "mydex", "", string(c[0]))}}
		for subject, account := range people {
			row.places = append(row.places, place("secret of grant", "mydex", "", string(c[0]), "default", subject, "", account))
		}
		return row
	}, 3)
	read("SELECT id, link, back, browser, owner, staged"+columns+" FROM journeys", func(c [][]byte) stolenRow {
		return stolenRow{sealed: c[4:6], places: [][]byte{
			place("owner of journey", "mydex", "", string(c[0]), string(c[1]), string(c[2]), string(c[3])),
			place("staged of journey", "mydex", "", string(c[0])),
		}}
	}, 6)
}

type cells struct {
	values [][]byte
	into   []any
}

func make2(n int, more bool) cells {
	if more {
		n++
	}
	c := cells{values: make([][]byte, n)}
	for i := range c.values {
		c.into = append(c.into, &c.values[i])
	}
	return c
}

// read opens all that can be opened in some bytes, at whatever offset: values
// that the keyset has sealed, of any length that one has had, and what is sealed
// by keys among these.
func (h *thief) read(raw []byte) (plain [][]byte) {
	h.t.Helper()
	sample, err := h.keys.Seal([]byte("x"), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	var places [][]byte
	var lengths []int
	byKey := make(map[string][]stolenRow)
	for _, row := range h.rows {
		places = append(places, row.places...)
		for _, sealed := range row.sealed {
			lengths = append(lengths, len(sealed))
		}
		if row.key != "" {
			byKey[string(place("key of row", row.key))] = append(byKey[string(place("key of row", row.key))], row)
		}
	}
	slices.SortFunc(places, bytes.Compare)
	places = slices.CompactFunc(places, bytes.Equal)
	slices.Sort(lengths)
	lengths = slices.Compact(lengths)
	for i := 0; ; i++ {
		next := bytes.Index(raw[i:], sample[:5]) // how this key's values begin
		if next < 0 {
			return plain
		}
		i += next
		if i+65 <= len(raw) {
			for at, rows := range byKey {
				if key, err := h.keys.Open(raw[i:i+65], []byte(at)); err == nil {
					plain = append(plain, openRows(key, rows)...)
				}
			}
		}
		for _, length := range lengths {
			if i+length > len(raw) {
				break
			}
			for _, at := range places {
				if text, err := h.keys.Open(raw[i:i+length], at); err == nil {
					plain = append(plain, text)
				}
			}
		}
	}
}

func openRows(key []byte, rows []stolenRow) (plain [][]byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil
	}
	for _, row := range rows {
		for _, sealed := range row.sealed {
			for _, at := range row.places {
				if text, err := aead.Open(nil, nil, sealed, at); err == nil {
					plain = append(plain, text)
				}
			}
		}
	}
	return plain
}

// finds tells whether a member's key can be read in some bytes. Journeys have it
// in base64.
func (h *thief) finds(raw []byte, key string) bool {
	for _, text := range h.read(raw) {
		var told struct {
			Secret []byte `json:"secret"`
		}
		if bytes.Contains(text, []byte(key)) || json.Unmarshal(text, &told) == nil && bytes.Contains(told.Secret, []byte(key)) {
			return true
		}
	}
	return false
}

// folder is all that is in a folder.
func folder(t *testing.T, dir string) (all []byte) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a relation that was just removed
		}
		text, err := os.ReadFile(path)
		if err == nil {
			all = append(all, text...)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

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

// unhex makes bytes of the values in a dump.
func unhex(text []byte) (all []byte) {
	for _, part := range bytes.Split(text, []byte(`\\x`))[1:] {
		value := make([]byte, 0, 1024)
		for i := 0; i+1 < len(part); i += 2 {
			high, low := bytes.IndexByte([]byte("0123456789abcdef"), part[i]), bytes.IndexByte([]byte("0123456789abcdef"), part[i+1])
			if high < 0 || low < 0 {
				break
			}
			value = append(value, byte(high<<4|low))
		}
		all = append(all, value...)
	}
	return all
}

// forgets has members' keys end in every way, and looks for them in all there is.
func forgets(t *testing.T, c *connection, lines string, db *sql.DB, keys string, take func() map[string][]byte) {
	k, err := keyset.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	h := &thief{t: t, db: db, keys: k}
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
		h.look(people) // also what is replaced by the next
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
	config, err := c.Render(c.caddyfile(lines, ""))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
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
	h.look(people)
	if _, err := db.ExecContext(t.Context(), "UPDATE journeys SET expires = 1 WHERE state = 'staged'"); err != nil {
		t.Fatal(err)
	}
	b := c.browser("somebody")
	b.start("/start") // sweeps what is over
	// What is replaced is erased in the background.
	var found string
	t.Cleanup(func() {
		if found != "" {
			t.Log("still there:", found)
		}
	})
	eventually(t, "nothing of it can be read", func() bool {
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
