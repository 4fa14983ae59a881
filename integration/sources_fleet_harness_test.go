// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// sourcesFleet is the rig of sources with several machines in front of it, which share
// a PostgreSQL, and a Redis if there is one. Its helpers speak to the machine that was
// chosen last by on.
type sourcesFleet struct {
	*sourcesRig
	machines []*machine
	shared   string // the options for what they share
	database *postgres.Server
	redis    *redisServer
}

// startSourcesFleet starts n machines. lines go into each source's block.
func startSourcesFleet(t *testing.T, n int, withRedis bool, lines string) *sourcesFleet {
	t.Helper()
	f := newSourcesFleet(t, withRedis)
	f.start(n, lines)
	return f
}

// newSourcesFleet is [startSourcesFleet] without machines.
func newSourcesFleet(t *testing.T, withRedis bool) *sourcesFleet {
	t.Helper()
	f := &sourcesFleet{sourcesRig: newSourcesRig(t)}
	f.database, f.shared = postgresGrants(t)
	if withRedis {
		f.redis = newRedis(t)
		f.shared += "\n\t\tcache redis " + f.redis.url()
	}
	return f
}

// start starts n machines, and speaks to the first.
func (f *sourcesFleet) start(n int, lines string) {
	f.t.Helper()
	text := f.withGrants(f.caddyfileOf(lines, ""), f.shared)
	for range n {
		m := newMachine(f.t, f.Stack, text)
		f.machines = append(f.machines, m)
		if f.redis != nil {
			eventually(f.t, "Redis is in use", func() bool {
				return strings.Contains(m.admin.send(http.MethodGet, "/delegate/status", "").body, `"up":true`)
			})
		}
	}
	f.on(0)
}

// withGrants has the grants kept as lines say. Each machine has a log of its own.
func (c *sourcesRig) withGrants(text, lines string) string {
	text = strings.Replace(text, c.logFile(), "[[.Storage]]/caddy.log", 1)
	return strings.Replace(text, "grants sqlite "+filepath.Join(c.Dir, "grants", "grants.db"), lines, 1)
}

// on has the helpers speak to a machine.
func (f *sourcesFleet) on(i int) { f.Port = f.machines[i].port }

// dataAt is the address of a person's data at the city lab by way of a machine.
func (f *sourcesFleet) dataAt(i int) string {
	return fmt.Sprintf("http://127.0.0.1:%d"+cityMeasurements, f.machines[i].port)
}

// asks has a browser send so many requests for data at once, to each machine in turn,
// and returns their answers as they come.
func (f *sourcesFleet) asks(b *browser, n int) <-chan answer {
	answers := make(chan answer, n)
	for i := range n {
		go func() { answers <- b.do(http.MethodGet, f.dataAt(i%len(f.machines)), "") }()
	}
	return answers
}

// served wants so many answers to be data of an account.
func served(t testing.TB, answers <-chan answer, n int, account string) {
	t.Helper()
	for range n {
		if a := <-answers; a.StatusCode != http.StatusOK || !strings.Contains(a.body, account) {
			t.Errorf("%d %s; want the data of %s", a.StatusCode, a.body, account)
		}
	}
}

// spentOnce wants so many refreshes to have been sent, each with a token that was not
// spent before.
func spentOnce(t testing.TB, v *sources.Vendor, n int) {
	t.Helper()
	if c := v.Counts(); c.Refreshes != n || c.Refreshed != n || c.RefreshReused != 0 || c.Graced != 0 {
		t.Errorf("%d refreshes, of which %d were answered with tokens, and %d with spent tokens were refused; want %d, %d, 0", c.Refreshes, c.Refreshed, c.RefreshReused, n, n)
	}
}

// mode sets the ways in which the city lab fails.
func (c *sourcesRig) mode(names ...string) {
	c.t.Helper()
	if err := c.city.SetMode(names...); err != nil {
		c.t.Fatal(err)
	}
}

// query runs a statement in the PostgreSQL that postgresGrants has made, and reads its
// only row into the given places.
func query(t testing.TB, statement string, into ...any) {
	t.Helper()
	db, err := sql.Open("pgx", os.Getenv("DATABASE"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if len(into) == 0 {
		_, err = db.ExecContext(t.Context(), statement)
	} else {
		err = db.QueryRowContext(t.Context(), statement).Scan(into...)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
