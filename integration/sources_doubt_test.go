// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// restoredSources protects people from a database that is a backup, whose refresh tokens
// are spent at a vendor that rotates them. With doubt, who has one is asked to connect
// again at the first call; without, they are told that the vendor does not answer. Whose
// token is good notices nothing.
func restoredSources(t *testing.T, c *sourcesRig, text string, backup, restore func()) {
	for _, doubts := range []bool{false, true} {
		load(t, c.Stack, text)
		spent, good := c.browser("mira"), c.browser("otto")
		c.connects(spent, "city_lab", c.city, 0)
		c.connects(good, "city_lab", c.city, 1)
		backup()
		c.city.ExpireAccess()
		spent.do(http.MethodGet, "/data/city_lab/measurements", "").want(t, http.StatusOK, "") // and rotates
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
		restore()
		if doubts {
			out, err := command(t, "grants", "doubt", "--source", "city_lab", "--config", configFile(t, c.Stack, text), "--adapter", "caddyfile")
			if err != nil {
				t.Fatal(err, out)
			}
			contains(t, out, "The refresh tokens of 2 grants are in doubt")
		}
		load(t, c.Stack, text)
		c.city.ExpireAccess()
		answer := spent.do(http.MethodGet, "/data/city_lab/measurements", "")
		if doubts {
			answer.want(t, http.StatusForbidden, "consent_required")
			c.is(spent, "city_lab", "update_required ada@people.example  connect disconnect")
		} else {
			answer.want(t, http.StatusServiceUnavailable, "issuer_unavailable")
			c.is(spent, "city_lab", "connected ada@people.example  disconnect")
		}
		good.do(http.MethodGet, "/data/city_lab/measurements", "").want(t, http.StatusOK, "")
		c.is(good, "city_lab", "connected ben@people.example  disconnect")
		for _, b := range []*browser{spent, good} {
			b.do(http.MethodDelete, "/connect/city_lab", "").want(t, http.StatusNoContent, "")
		}
	}
}

func TestSourcesDoubtSQLite(t *testing.T) {
	c := startSources(t, "", "")
	folder, kept := filepath.Join(c.Dir, "grants"), t.TempDir()
	database, copied := filepath.Join(folder, "grants.db"), filepath.Join(kept, "grants.backup.db")
	restoredSources(t, c, c.caddyfileOf("", ""), func() {
		if err := os.RemoveAll(copied); err != nil {
			t.Fatal(err)
		}
		program(t, "sqlite3", database, ".backup "+copied) // while Caddy runs
	}, func() {
		for _, old := range []string{database, database + "-wal", database + "-shm"} {
			if err := os.RemoveAll(old); err != nil {
				t.Fatal(err)
			}
		}
		program(t, "cp", copied, database)
	})
}

func TestSourcesDoubtPostgres(t *testing.T) {
	server, lines := postgresGrants(t)
	address, dump := os.Getenv("DATABASE"), filepath.Join(t.TempDir(), "grants.dump")
	c := startSources(t, "", "")
	text := c.caddyfileOf("", "")
	own := "grants sqlite " + filepath.Join(c.Dir, "grants", "grants.db")
	if !strings.Contains(text, own) {
		t.Fatal(text)
	}
	restoredSources(t, c, strings.Replace(text, own, lines, 1), func() {
		program(t, server.Program("pg_dump"), "--format=custom", "--file", dump, address)
	}, func() {
		program(t, server.Program("pg_restore"), "--clean", "--dbname", address, dump)
	})
}
