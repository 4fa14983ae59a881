// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestC15_PgBouncer protects operators whose PostgreSQL is behind a pooler in
// transaction mode, as managed ones are: with nothing set but its address, people
// connect, call and disconnect at once over two connections, through a reload, and
// the commands work.
func TestC15_PgBouncer(t *testing.T) {
	server, lines := postgresGrants(t)
	pooler, err := server.Pool(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pooler.Stop() })
	t.Setenv("DATABASE", pooler.Database(os.Getenv("DATABASE")))
	c := startMydex(t, lines, "")
	text, log := logged(t, c.caddyfile(lines, ""))
	load(t, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)

	members := c.mydex.Members()
	browsers := make([]*browser, len(members))
	for i := range members {
		browsers[i] = c.browser(fmt.Sprintf("user-%d", i))
	}
	each := func(do func(b *browser, uid string) error) {
		t.Helper()
		var all sync.WaitGroup
		for i, b := range browsers {
			all.Go(func() {
				if err := do(b, members[i].UID); err != nil {
					t.Errorf("user-%d: %v", i, err)
				}
			})
		}
		all.Wait()
	}
	read := func(b *browser, uid string) error {
		for range 5 {
			a := b.do(http.MethodGet, dataset, "")
			if a.StatusCode != http.StatusOK {
				return fmt.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
		return nil
	}
	// One after the other they agree, because a page is no place to hurry; what they
	// do with the database overlaps all the same.
	to := make([]string, len(browsers))
	for i, b := range browsers {
		to[i] = b.agree(b.start("/start"), members[i].UID)
	}
	each(func(b *browser, uid string) error {
		for i := range browsers {
			if browsers[i] == b {
				b.returnTo(to[i], "connected")
			}
		}
		return read(b, uid)
	})
	// A reload that changes what grants depend on reads them all again.
	load(t, c.Stack, strings.Replace(text, "scopes           mydex:pdx", "scopes           mydex:pdx get:/other", 1))
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	for i, b := range browsers {
		b.signIn(fmt.Sprintf("user-%d", i))
	}
	each(read)
	each(func(b *browser, _ string) error {
		if a := b.do(http.MethodDelete, "/connect/mydex/", "", "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusNoContent {
			return fmt.Errorf("disconnecting: %d %s", a.StatusCode, a.body)
		}
		if a := b.do(http.MethodGet, dataset, ""); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "consent_required") {
			return fmt.Errorf("disconnected: %d %s", a.StatusCode, a.body)
		}
		return nil
	})
	browsers[0].connect(members[0].UID)
	config := configFile(t, c.Stack, text)
	if out, err := command(t, "grants", "list", "--config", config); err != nil || !strings.Contains(out, "user-0") || strings.Contains(out, "user-1") {
		t.Errorf("grants list: %v\n%s", err, out)
	}
	for _, what := range []string{"42P05", "26000", "grants: the database cannot be used", "grants_unavailable"} {
		if n := says(t, log, what); n > 0 {
			t.Errorf("the log has %d times %s", n, what)
		}
	}
}
