// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// shiftedClock has a PostgreSQL tell the time as a server does whose clock is off.
const shiftedClock = `
	CREATE SCHEMA shifted;
	CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS $$ SELECT pg_catalog.clock_timestamp() + interval 'OFF' $$;
	DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, shifted, pg_catalog', current_database()); END $$`

// TestSourcesClockOff protects people from machines whose clock is ten minutes behind
// that of the database, or ahead of it: they connect, and their tokens are refreshed
// once, as if all clocks were right.
func TestSourcesClockOff(t *testing.T) {
	for _, off := range []string{"-10 min", "10 min"} {
		t.Run(off, func(t *testing.T) {
			f := newSourcesFleet(t, false)
			query(t, strings.ReplaceAll(shiftedClock, "OFF", off))
			f.start(2, "")
			ada := f.browser("ada")
			page := f.begins(ada, "/start/city_lab", "")
			f.on(1) // the redirect comes to the first all the same
			to := f.decides(f.city, page, sources.Decision{Account: accountID(1)})
			if got := f.comesBack(ada, to); !strings.Contains(got, "connect=connected") {
				t.Errorf("back at %q", got)
			}
			f.is(ada, "city_lab", connectedBen)
			served(t, f.asks(ada, 4), 4, accountID(1))
			for round := range 3 {
				f.city.ExpireAccess()
				f.mode("spent_hold")
				answers := f.asks(ada, 10)
				eventually(t, "the refresh token is spent", func() bool { return f.city.Counts().Refreshed == round+1 })
				f.mode()
				served(t, answers, 10, accountID(1))
				spentOnce(t, f.city, round+1)
			}
			var ahead int64 // what is in the database is by its clock
			query(t, "SELECT (max(changed) / 1000 - extract(epoch FROM pg_catalog.clock_timestamp()))::bigint FROM grants", &ahead)
			if off == "10 min" && ahead < 500 || off == "-10 min" && ahead > -600 {
				t.Errorf("a grant was changed %d seconds from now", ahead)
			}
		})
	}
}

// TestSourcesBackup protects people from a backup that is older than their refresh
// tokens: where the vendor rotates, a spent one is sent once, and they are asked to
// connect again, which helps at once; where it does not, nobody notices.
func TestSourcesBackup(t *testing.T) {
	const harbor = "/data/harbor_lab/measurements"
	connect := func(c *sourcesRig) (ada, bob *browser) {
		c.harbor.Set(func(s *sources.Settings) { s.Refresh = "kept" })
		ada, bob = c.browser("ada"), c.browser("bob")
		c.connects(ada, "city_lab", c.city, 1)
		c.connects(bob, "harbor_lab", c.harbor, 2)
		return ada, bob
	}
	use := func(c *sourcesRig, ada, bob *browser) {
		c.city.ExpireAccess()
		c.harbor.ExpireAccess()
		ada.do(http.MethodGet, cityMeasurements, "").want(c.t, http.StatusOK, "")
		bob.do(http.MethodGet, harbor, "").want(c.t, http.StatusOK, "")
		c.connects(c.browser("cleo"), "harbor_lab", c.harbor, 3) // who is not in the backup
		if err := caddy.Stop(); err != nil {
			c.t.Fatal(err)
		}
	}
	restored := func(c *sourcesRig) {
		t := c.t
		ada, bob, cleo := c.browser("ada"), c.browser("bob"), c.browser("cleo")
		c.city.ExpireAccess()
		c.harbor.ExpireAccess()
		bob.do(http.MethodGet, harbor, "").want(t, http.StatusOK, "")
		cleo.do(http.MethodGet, harbor, "").want(t, http.StatusForbidden, "consent_required")
		for range 3 { // the vendor has ended the consent when the spent token came
			isCode(t, ada.do(http.MethodGet, cityMeasurements, ""), http.StatusServiceUnavailable, "issuer_unavailable")
		}
		if n := c.city.Counts(); n.RefreshReused != 1 {
			t.Errorf("%d spent tokens were sent", n.RefreshReused)
		}
		c.connects(ada, "city_lab", c.city, 1)
		ada.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
		c.connects(cleo, "harbor_lab", c.harbor, 3)
		cleo.do(http.MethodGet, harbor, "").want(t, http.StatusOK, "")
	}
	t.Run("sqlite", func(t *testing.T) {
		c := startSources(t, "", "")
		ada, bob := connect(c)
		database, kept := filepath.Join(c.Dir, "grants", "grants.db"), filepath.Join(t.TempDir(), "kept.db")
		program(t, "sqlite3", database, ".backup "+kept) // while Caddy runs
		use(c, ada, bob)
		for _, file := range []string{database + "-wal", database + "-shm"} {
			if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		program(t, "cp", kept, database)
		c.use("", "")
		restored(c)
	})
	t.Run("postgres", func(t *testing.T) {
		server, lines := postgresGrants(t)
		c := newSourcesRig(t)
		text := c.withGrants(c.caddyfileOf("", ""), lines)
		load(t, c.Stack, text)
		ada, bob := connect(c)
		dump, address := filepath.Join(t.TempDir(), "grants.dump"), os.Getenv("DATABASE")
		program(t, server.Program("pg_dump"), "--format=custom", "--file", dump, address)
		use(c, ada, bob)
		program(t, server.Program("pg_restore"), "--clean", "--dbname", address, dump)
		load(t, c.Stack, text)
		restored(c)
	})
}

// TestSourcesDiskFull protects a person's consent from a disk that is full: no refresh
// token is spent whose successor could not be written, and what the vendor has answered
// when the disk ran full is written when there is room. Who has a live token is served
// meanwhile.
func TestSourcesDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	c := newSourcesRig(t)
	text := c.withGrants(c.caddyfileOf("", ""), "\n\t\tkeyset {file."+newKeyset(t)+"}\n\t\tgrants sqlite "+filepath.Join(disk, "grants.db"))
	c.Port = newMachine(t, c.Stack, text).port
	ada, bob := c.browser("ada"), c.browser("bob")
	c.connects(ada, "city_lab", c.city, 1)
	c.connects(bob, "city_lab", c.city, 2)
	bob.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
	ballast := filepath.Join(disk, "ballast")
	fill := func() {
		file, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for size := 64 << 10; size > 0; {
			if n, err := file.Write(make([]byte, size)); err != nil || n < size {
				size /= 2
			}
		}
	}
	empty := func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	c.city.ExpireAccess(accountID(1))
	fill()
	isCode(t, ada.do(http.MethodGet, cityMeasurements, ""), http.StatusServiceUnavailable, "grants_unavailable")
	bob.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
	spentOnce(t, c.city, 0)
	empty()

	c.mode("spent_hold")
	answered := make(chan answer, 1)
	ask := func() { answered <- ada.do(http.MethodGet, cityMeasurements, "") }
	go ask()
	eventually(t, "the refresh token is spent", func() bool {
		select {
		case <-answered: // the database is left alone for a second after an error
			go ask()
		default:
		}
		return c.city.Counts().Refreshed == 1
	})
	fill()
	c.mode()
	isCode(t, <-answered, http.StatusServiceUnavailable, "grants_unavailable")
	bob.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
	empty()
	eventually(t, "it is written", func() bool { return ada.do(http.MethodGet, cityMeasurements, "").StatusCode == http.StatusOK })
	spentOnce(t, c.city, 1)
	c.city.ExpireAccess()
	for _, b := range []*browser{ada, bob} {
		b.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
	}
	spentOnce(t, c.city, 3)
}
