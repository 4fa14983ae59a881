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
	"os"
	"path/filepath"
	"slices"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// keyHolder has the keyset, and all that the database has ever told: the rows as
// they are and as they were.
type keyHolder struct {
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

// associatedData is the associated data of a sealed value.
func associatedData(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	return b
}

// noteRows notes the rows that there are, of these people and accounts.
func (h *keyHolder) noteRows(people map[string]string) {
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
	grants, journeys := "SELECT id, owner, secret, ''", "SELECT id, link, back, browser, owner, staged, ''"
	if _, err := h.db.ExecContext(h.t.Context(), "SELECT tokens FROM grants"); err == nil {
		grants, journeys = "SELECT id, owner, secret, tokens", "SELECT id, link, back, browser, owner, staged, secret"
	}
	read(grants+columns+" FROM grants", func(c [][]byte) stolenRow {
		row := stolenRow{sealed: c[1:4], places: [][]byte{associatedData("owner of grant", "mydex", "", string(c[0]))}}
		for subject, account := range people {
			for _, of := range []string{"secret of grant", "tokens of grant"} {
				row.places = append(row.places, associatedData(of, "mydex", "", string(c[0]), "default", subject, "", account))
			}
		}
		return row
	}, 4)
	read(journeys+columns+" FROM journeys", func(c [][]byte) stolenRow {
		return stolenRow{sealed: c[4:7], places: [][]byte{
			associatedData("owner of journey", "mydex", "", string(c[0]), string(c[1]), string(c[2]), string(c[3])),
			associatedData("staged of journey", "mydex", "", string(c[0])),
			associatedData("secret of journey", "mydex", "", string(c[0])),
		}}
	}, 7)
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
func (h *keyHolder) read(raw []byte) (plain [][]byte) {
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
			byKey[string(associatedData("key of row", row.key))] = append(byKey[string(associatedData("key of row", row.key))], row)
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
func (h *keyHolder) finds(raw []byte, key string) bool {
	for _, text := range h.read(raw) {
		var told struct {
			Secret   []byte `json:"secret"`
			Access   []byte `json:"access"`
			Refresh  []byte `json:"refresh"`
			Verifier []byte `json:"verifier"`
		}
		all := [][]byte{text}
		if json.Unmarshal(text, &told) == nil {
			all = append(all, told.Secret, told.Access, told.Refresh, told.Verifier)
		}
		if slices.ContainsFunc(all, func(b []byte) bool { return bytes.Contains(b, []byte(key)) }) {
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
