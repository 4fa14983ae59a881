// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// says tells how often something is in the log.
func says(t *testing.T, file, what string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return strings.Count(string(text), what)
}

// TestRc_PostgresAway protects every other site from a PostgreSQL that is away
// when Caddy starts or is reloaded: only requests that need grants are refused,
// and they are served when it is there, without anybody's doing.
func TestRc_PostgresAway(t *testing.T) {
	server, lines := postgresGrants(t)
	server.Kill()
	c := startMydex(t, lines, "") // fails the test if it does not load
	text, log := logged(t, c.caddyfile(lines, ""))
	load(t, c.Stack, text)
	if n := says(t, log, "cannot be reached"); n != 1 {
		t.Errorf("the cause is told %d times in the log", n)
	}
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	alice, bob := c.browser("alice"), c.browser("bob")
	if got := alice.do(http.MethodGet, "/", ""); got.StatusCode >= 500 {
		t.Errorf("the app answers %d", got.StatusCode)
	}
	began := time.Now()
	for range 50 {
		alice.do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("50 requests waited %s for a database that is known to be away", took)
	}
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is opened", func() bool { return alice.do(http.MethodGet, dataset, "").StatusCode == http.StatusForbidden })
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	// Away again: who is known here goes on, and a reload too.
	server.Kill()
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	load(t, c.Stack, strings.Replace(text, "delegate {", "delegate {\n\t\tlog_subject none", 1))
	c.browser("bob").do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	again := c.browser("alice")
	eventually(t, "it is used again", func() bool { return again.do(http.MethodGet, dataset, "").StatusCode == http.StatusOK })
}

// TestRc_WrongKeysetLater protects people from being asked to consent anew when
// a database that was away at the start turns out to be another's.
func TestRc_WrongKeysetLater(t *testing.T) {
	server, lines := postgresGrants(t)
	c := startMydex(t, lines, "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	wrong := "\n\t\tkeyset {file." + newKeyset(t) + "}\n\t\tgrants postgres {env.DATABASE}"
	if err := c.Load(c.caddyfile(wrong, "")); err == nil || !strings.Contains(err.Error(), "put back the keyset file") {
		t.Fatalf("with another keyset: %v", err)
	}
	server.Kill()
	text, log := logged(t, c.caddyfile(wrong, ""))
	if err := c.Restart(text); err != nil {
		t.Fatal(err)
	}
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log tells why", func() bool { return says(t, log, "put back the keyset file") > 0 })
	c.browser("alice").do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
}

// TestRc_SQLiteLocked is the same for a file that another program has locked.
func TestRc_SQLiteLocked(t *testing.T) {
	c := startMydex(t, "", "")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "grants", "grants.db")
	cmd := exec.CommandContext(t.Context(), "sqlite3", file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; SELECT 1;\n")
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	text, log := logged(t, c.caddyfile("", ""))
	load(t, c.Stack, text)
	alice := c.browser("alice")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	_ = in.Close()
	_ = cmd.Wait()
	eventually(t, "it is opened", func() bool { return alice.do(http.MethodGet, dataset, "").StatusCode == http.StatusForbidden })
	if says(t, log, "the grants cannot be used") == 0 {
		t.Error("nothing is told in the log")
	}
}

// TestA13_OpenFiles protects keys and grants from other users of the machine:
// what is ours is for us alone again, what the operator provides is warned of.
func TestA13_OpenFiles(t *testing.T) {
	c := startMydex(t, "", "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	dir := filepath.Join(c.Dir, "grants")
	keys := newKeyset(t)
	for _, file := range []string{filepath.Join(dir, "grants.db"), filepath.Join(dir, "keyset.json"), keys} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, log := logged(t, c.caddyfile("", ""))
	if err := c.Restart(text); err != nil {
		t.Fatal(err)
	}
	c.browser("alice").do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	for _, name := range []string{"grants.db", "keyset.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
		if says(t, log, filepath.Join(dir, name)) == 0 {
			t.Errorf("the log does not tell that %s was open", name)
		}
	}
	text, log = logged(t, c.caddyfile("\n\t\tkeyset {file."+keys+"}\n\t\tgrants sqlite "+filepath.Join(t.TempDir(), "grants.db"), ""))
	load(t, c.Stack, text)
	if says(t, log, keys) == 0 || says(t, log, "mode 0644") == 0 {
		t.Error("a keyset that everybody can read is used without a word")
	}
}

// TestVerifyCA protects the grants from a server that has any certificate of
// the authority: verify-ca does not look at the name.
func TestVerifyCA(t *testing.T) {
	t.Setenv("DATABASE", "postgres://u:CANARY@db.example.org/d?sslmode=verify-ca")
	c := startMydex(t, "", "")
	err := c.Load(c.caddyfile("\n\t\tkeyset {file."+newKeyset(t)+"}\n\t\tgrants postgres {env.DATABASE}", ""))
	if err == nil || !strings.Contains(err.Error(), "sslmode=verify-full") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("%v", err)
	}
}
