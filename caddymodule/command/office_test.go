// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// grantSecret begins every secret of the tests below.
const grantSecret = "CANARY-member-key"

// office is where an operator works: a configuration, and the grants of it as
// a running Caddy has them open.
type office struct {
	t      *testing.T
	config string
	keys   string // the keyset file
	store  *grants.Store
}

// newOffice has the grants in SQLite, or in the PostgreSQL of an address.
func newOffice(t *testing.T, address string) *office {
	t.Helper()
	dir := t.TempDir()
	f := &office{t: t, config: filepath.Join(dir, "caddy.json"), keys: filepath.Join(dir, "grants", "keyset.json")}
	at := &caddymodule.Grants{SQLite: filepath.Join(dir, "grants", "grants.db"), Postgres: address}
	app := caddymodule.App{Grants: at}
	if address != "" {
		at.SQLite = ""
		app.Keyset = "{file." + f.keys + "}"
	}
	if err := os.Mkdir(filepath.Dir(f.keys), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := delegateCommand(t, "keyset", "generate", f.keys); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"apps": map[string]any{"delegate": app}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f.store, err = grants.Open(t.Context(), grants.Options{File: at.SQLite, Postgres: address, Keyset: readKeyset(t, f.keys)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	return f
}

// connect has somebody consent, and returns the id of the grant.
func (f *office) connect(subject, account string) (id string) {
	f.t.Helper()
	ctx := context.Background()
	j := &grants.Flow{Owner: grants.Owner{Provider: "mydex", Person: delegation.Person{Realm: "app", Subject: subject}}, Kind: grants.FlowConnect}
	if err := f.store.Begin(ctx, j); err != nil {
		f.t.Fatal(err)
	}
	what := grants.PendingResult{Account: account, Secret: delegation.NewSecret(grantSecret + account)}
	if err := f.store.Stage(ctx, j.Provider, j.Source, j.CorrelationID.Reveal(), what); err != nil {
		f.t.Fatal(err)
	}
	_, _, _ = f.store.Complete(ctx, grants.Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true})
	_ = f.store.ForEach(ctx, func(g *grants.Grant) error {
		if g.Subject == subject && g.Account == account {
			id = g.ID
		}
		return nil
	})
	return id
}

// run runs `caddy delegate grants` and returns all it says, the error too.
func (f *office) run(works bool, args ...string) string {
	f.t.Helper()
	out, err := delegateCommand(f.t, append([]string{"grants", "--config", f.config}, args...)...)
	if err != nil {
		out += err.Error()
	}
	if (err == nil) != works {
		f.t.Errorf("%q: %s", args, out)
	}
	if strings.Contains(out, grantSecret) {
		f.t.Errorf("%q prints a secret: %s", args, out)
	}
	return out
}

// says runs it and wants it to say something.
func (f *office) says(works bool, args []string, wants ...string) {
	f.t.Helper()
	out := f.run(works, args...)
	for _, want := range wants {
		if !strings.Contains(out, want) {
			f.t.Errorf("%q: no %q in\n%s", args, want, out)
		}
	}
}

// database opens it behind the store's back.
func (f *office) database(address string) *sql.DB {
	f.t.Helper()
	driver := "pgx"
	if address == "" {
		driver, address = "sqlite", "file:"+filepath.Join(filepath.Dir(f.keys), "grants.db")+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

// recorded wants so many decisions, all of this account on the machine.
func (f *office) recorded(address string, want int) {
	f.t.Helper()
	me, err := user.Current()
	if err != nil {
		f.t.Fatal(err)
	}
	var n, mine int
	if err := f.database(address).QueryRowContext(f.t.Context(), "SELECT count(*), count(CASE WHEN by = '"+me.Username+"' THEN 1 END) FROM decisions").
		Scan(&n, &mine); err != nil || n != want || mine != n {
		f.t.Errorf("%d decisions, %d of %s: %v; want %d", n, mine, me.Username, err, want)
	}
}
