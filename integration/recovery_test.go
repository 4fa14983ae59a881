// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// The page on recovery, carried out as it is written.

// grantsFolder is where the grants of startMydex are kept.
func (c *connection) grantsFolder() string { return filepath.Join(c.Dir, "grants") }

// putAside moves the database out of the folder, as the page says.
func (c *connection) putAside(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.grantsFolder(), "grants.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if err := os.Rename(file, filepath.Join(t.TempDir(), filepath.Base(file))); err != nil {
			t.Fatal(err)
		}
	}
}

// connectsAgain wants a member to be asked to connect, and served once they have.
func (c *connection) connectsAgain(user, uid string) {
	c.t.Helper()
	b := c.browser(user)
	b.do(http.MethodGet, dataset, "").want(c.t, http.StatusForbidden, "consent_required")
	b.connect(uid)
	b.do(http.MethodGet, dataset, "").want(c.t, http.StatusOK, "")
}

// TestRecoveryKeysetLost protects members of an operator who has lost the keyset:
// Caddy refuses to start and leaves the database as it is; a copy mends everything,
// and without one people can connect again.
func TestRecoveryKeysetLost(t *testing.T) {
	c := startMydex(t, "", "")
	uid := c.mydex.Members()[0].UID
	c.browser("alice").connect(uid)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	database, keys := filepath.Join(c.grantsFolder(), "grants.db"), filepath.Join(c.grantsFolder(), "keyset.json")
	before, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "keyset.json")
	program(t, "mv", keys, kept)
	if err := c.Load(c.caddyfile("", "")); err == nil {
		t.Fatal("it starts without the keyset")
	}
	if after, err := os.ReadFile(database); err != nil || string(after) != string(before) {
		t.Errorf("the database was changed (%v)", err)
	}
	program(t, "cp", kept, keys)
	c.load("", "")
	c.browser("alice").do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	c.putAside(t)
	c.load("", "")
	c.connectsAgain("alice", uid)
}

// TestRecoveryDatabaseLost protects them from a disk without a backup: with the keyset
// that is there, people connect again.
func TestRecoveryDatabaseLost(t *testing.T) {
	c := startMydex(t, "", "")
	uid := c.mydex.Members()[0].UID
	c.browser("alice").connect(uid)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	c.putAside(t)
	c.load("", "")
	c.connectsAgain("alice", uid)
}

// TestRecoveryRedisLost protects who has signed out from a Redis that has lost its
// data: a machine that was running writes it again, and one that starts knows of it.
// After a restart of all, a purge ends every session.
func TestRecoveryRedisLost(t *testing.T) {
	l, redis, a, b := fleetOf(t)
	out, in := l.session("alice", nil), l.session("bob", nil)
	a.want("before", out, http.StatusOK)
	a.signOut(out)
	b.ends("signed out", out)
	redis.kill()
	redis.start() // it keeps nothing
	a.shares()
	b.shares()
	b.restart()
	b.shares()
	b.ends("after Redis has lost it", out)
	b.want("another's", in, http.StatusOK)
	if got := b.admin.send(http.MethodPost, "/delegate/purge", `{"sessions": true}`); got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	a.ends("everybody's", in)
	b.ends("everybody's", in)
}

// TestRecoveryKeyLeaked protects a project whose private key was stolen: once the
// platform has withdrawn it nothing is obtained with it, and with a new file people are
// served, by new tokens after the purge.
func TestRecoveryKeyLeaked(t *testing.T) {
	s := newStack(t)
	load(t, s, administered(stack.Caddyfile))
	alice := signIn(t, s, "alice")
	alice.get(participantPath).want(t, http.StatusOK, "")
	if err := s.Rotate(); err != nil { // withdrawn there, and replaced here
		t.Fatal(err)
	}
	before := s.Platform.Counts().ParticipantTokens
	newAdmin(t, s).purge("{}", `"mydatahelps"`)
	eventually(t, "the new key is used", func() bool { return alice.get(participantPath).StatusCode == http.StatusOK })
	if n := s.Platform.Counts().ParticipantTokens; n <= before {
		t.Errorf("%d tokens before the purge, %d after", before, n)
	}
}

// TestRecoveryKeysetLeaked protects members whose keyset was stolen: after the steps of
// the page it opens nothing that is in the database, and nobody has noticed.
func TestRecoveryKeysetLeaked(t *testing.T) {
	c := startMydex(t, "", "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	keys := filepath.Join(c.grantsFolder(), "keyset.json")
	stolen := filepath.Join(t.TempDir(), "keyset.json")
	program(t, "cp", keys, stolen)
	file := configFile(t, c.Stack, c.caddyfile("", ""))
	rotate := func() {
		t.Helper()
		if out, err := command(t, "keyset", "rotate", keys); err != nil {
			t.Fatal(err, out)
		}
		load(t, c.Stack, c.caddyfile("", ""))
	}
	for range 2 {
		rotate()
		rotate()
		if out, err := command(t, "grants", "reseal", "--config", file); err != nil {
			t.Fatal(err, out)
		}
	}
	rotate() // takes the stolen keys out
	alice := c.browser("alice")
	alice.status("connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	was, is := keyIDs(t, stolen), keyIDs(t, keys)
	for id := range was {
		if is[id] {
			t.Errorf("key %s of the stolen keyset is in use", id)
		}
	}
	if len(was) == 0 || len(is) == 0 {
		t.Errorf("%d and %d keys", len(was), len(is))
	}
	// With the stolen file in its place the database is closed.
	program(t, "cp", stolen, keys)
	if err := c.Restart(c.caddyfile("", "")); err == nil || !strings.Contains(err.Error(), "keyset") {
		t.Errorf("with the stolen keyset: %v", err)
	}
}

// keyIDs are the IDs of the keys in a keyset's file.
func keyIDs(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keyset map[string]struct {
		Key []struct {
			KeyID json.Number `json:"keyId"`
		} `json:"key"`
	}
	if err := json.Unmarshal(text, &keyset); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for use, set := range keyset {
		for _, k := range set.Key {
			ids[use+" "+k.KeyID.String()] = true
		}
	}
	return ids
}
