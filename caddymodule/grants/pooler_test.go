// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
)

// pooled is a database behind a PgBouncer in transaction mode, with so many
// connections; address is the same without it.
func pooled(t testing.TB, size int) (at Options, address string, server *postgres.Server) {
	t.Helper()
	server = postgresServer(t)
	address, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := server.Pool(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	// A pool of two under a loaded machine has everybody wait.
	return Options{Postgres: p.Database(address), Keyset: newKeyset(t), Timeout: time.Minute}, address, server
}

// TestC15_PoolerUnderLoad protects grants behind a pooler in transaction mode,
// as managed databases have it: several machines open the database at once, and
// work on it by two connections, and nothing of it fails or is mixed up.
func TestC15_PoolerUnderLoad(t *testing.T) {
	at, _, _ := pooled(t, 2)
	const machines, people, rounds = 4, 6, 3
	stores := make([]*Store, machines)
	var all sync.WaitGroup
	for m := range machines {
		all.Go(func() {
			s, err := Open(context.Background(), at)
			if err != nil {
				t.Errorf("machine %d: %v", m, err)
				return
			}
			stores[m] = s
		})
	}
	all.Wait()
	for _, s := range stores {
		if s == nil {
			t.FailNow()
		}
		t.Cleanup(func() { _ = s.Close() })
	}
	for m, s := range stores {
		for p := range people {
			all.Go(func() {
				who := fmt.Sprintf("user-%d-%d", m, p)
				for round := range rounds {
					key := fmt.Sprintf("key of %s in round %d", who, round)
					if _, err := connect(s, who, who, key); err != nil {
						t.Errorf("connecting %s: %v", who, err)
						return
					}
					other := stores[(m+round+1)%machines]
					g, err := other.Find(context.Background(), owner(who))
					if err != nil || g.Account != who || g.Secret.Reveal() != key {
						t.Errorf("%s has %+v: %v", who, g, err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	holds(t, stores[0], "user-1-1", "user-1-1", "key of user-1-1 in round 2")
	holds(t, stores[0], "nobody", "", "")
}

// TestC15_PoolerErases protects what was deleted from staying, and whoever comes
// after from a table that stays locked.
func TestC15_PoolerErases(t *testing.T) {
	at, _, _ := pooled(t, 2)
	s := opened(t, at)
	connected(t, s, "alice", "1", "key-of-alice")
	connected(t, s, "bob", "2", "key-of-bob")
	if err := s.DeleteByOwner(context.Background(), owner("alice")); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "alice", "", "")
	holds(t, s, "bob", "2", "key-of-bob")
	connected(t, s, "alice", "1", "another-key")
}

// TestC15_LittleRight protects operators whose database user is not the tables'
// owner, or may not make any: the error names the right that is missing.
func TestC15_LittleRight(t *testing.T) {
	at, address, server := pooled(t, 2)
	exec := func(text string) {
		t.Helper()
		if err := server.Exec(t.Context(), address, text); err != nil {
			t.Fatal(err)
		}
	}
	exec("DROP ROLE IF EXISTS guest")
	exec("CREATE ROLE guest LOGIN")
	t.Cleanup(func() { _ = server.Exec(context.Background(), address, "DROP OWNED BY guest; DROP ROLE guest") })
	for name, guest := range map[string]string{"pooled": at.Postgres, "direct": address} {
		at := at
		at.Postgres = strings.Replace(guest, "test@", "guest@", 1)
		_, err := Open(t.Context(), at)
		if !NeedsOperator(err) || !strings.Contains(err.Error(), "42501") || !strings.Contains(err.Error(), "GRANT USAGE, CREATE ON SCHEMA") {
			t.Errorf("%s, without the right to make tables: %v", name, err)
		}
	}
	s := opened(t, at)
	exec("GRANT USAGE ON SCHEMA public TO guest")
	guest := at
	guest.Postgres = strings.Replace(at.Postgres, "test@", "guest@", 1)
	_, err := Open(t.Context(), guest)
	if err == nil || errors.Is(err, ErrDamaged) || !NeedsOperator(err) || !strings.Contains(err.Error(), "42501") || !strings.Contains(err.Error(), "OWNER TO") {
		t.Errorf("with tables of somebody else: %v", err)
	}
	connected(t, s, "alice", "1", "key-of-alice")
}
