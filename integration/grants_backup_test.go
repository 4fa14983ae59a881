// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
)

// program runs a program that the page on grants names.
func program(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// restored wants who had connected before the backup to be there, with their
// data, and who came later to be asked again.
func (c *connection) restored() {
	c.t.Helper()
	alice, bob := c.browser("alice"), c.browser("bob")
	alice.do(http.MethodGet, dataset, "").want(c.t, http.StatusOK, "")
	bob.do(http.MethodGet, dataset, "").want(c.t, http.StatusForbidden, "consent_required")
	bob.connect(c.mydex.Members()[1].UID)
	bob.do(http.MethodGet, dataset, "").want(c.t, http.StatusOK, "")
}

// TestBackupSQLite protects members' keys, which the platform cannot give
// again, from a disk that is lost: what that page says of backup and restore
// is done to the letter.
func TestBackupSQLite(t *testing.T) {
	c := startMydex(t, "", "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	folder, kept := filepath.Join(c.Dir, "grants"), t.TempDir()
	database := filepath.Join(folder, "grants.db")
	program(t, "sqlite3", database, ".backup "+filepath.Join(kept, "grants.backup.db")) // while Caddy runs
	program(t, "cp", filepath.Join(folder, "keyset.json"), kept)
	c.browser("bob").connect(c.mydex.Members()[1].UID)

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	program(t, "cp", filepath.Join(kept, "grants.backup.db"), database)
	program(t, "cp", filepath.Join(kept, "keyset.json"), folder)
	c.load("", "")
	c.restored()
}

// postgresGrants starts a PostgreSQL, whose address is in DATABASE, and returns
// the lines that have the grants kept there.
func postgresGrants(t *testing.T) (server *postgres.Server, lines string) {
	t.Helper()
	server, err := postgres.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	address, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATABASE", address)
	return server, "\n\t\tkeyset {file." + newKeyset(t) + "}\n\t\tgrants postgres {env.DATABASE}"
}

// TestBackupPostgres is the same for PostgreSQL.
func TestBackupPostgres(t *testing.T) {
	server, lines := postgresGrants(t)
	address := os.Getenv("DATABASE")
	c := startMydex(t, lines, "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	dump := filepath.Join(t.TempDir(), "grants.dump")
	program(t, server.Program("pg_dump"), "--format=custom", "--file", dump, address)
	c.browser("bob").connect(c.mydex.Members()[1].UID)

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	program(t, server.Program("pg_restore"), "--clean", "--dbname", address, dump)
	c.load(lines, "")
	c.restored()
}
