// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLocked protects people whose grant cannot be read now from being told
// that they have none: another program holds the file.
func TestLocked(t *testing.T) {
	at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t), Timeout: 3 * time.Second} // a slow disk takes less
	s := opened(t, at)
	connected(t, s, "alice", "1", "key")
	other := opened(t, at)
	tx, err := other.db.BeginTx(t.Context(), nil) // a writer
	if err != nil {
		t.Fatal(err)
	}
	holds(t, s, "alice", "1", "key") // readers go on
	err = s.Begin(t.Context(), &Flow{Owner: owner("bob"), Kind: FlowConnect})
	want(t, "while it is locked", err, ErrUnavailable)
	if !strings.Contains(err.Error(), "another program holds it locked") {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	connected(t, s, "bob", "2", "key")
}

// TestFull protects from half a grant on a full disk.
func TestFull(t *testing.T) {
	s := opened(t, Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)})
	connected(t, s, "alice", "1", "key")
	s.db.SetMaxOpenConns(1) // the limit is a connection's
	var pages int
	if err := s.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if _, err := s.db.ExecContext(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	_, err := connect(s, "bob", "2", strings.Repeat("k", 20_000))
	want(t, "on a full disk", err, ErrUnavailable)
	if !strings.Contains(err.Error(), "the disk is full") {
		t.Error(err)
	}
	holds(t, s, "alice", "1", "key")
	holds(t, s, "bob", "", "")
	limit(1 << 20)
	connected(t, s, "bob", "2", strings.Repeat("k", 20_000))
}

// TestUnsafeFiles protects from a database that others can read, that is none,
// or that cannot be written: each error says what to do, and nothing of a
// password.
func TestUnsafeFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new", "grants.db")
	s := opened(t, Options{File: file, Keyset: newKeyset(t)})
	connected(t, s, "alice", "1", "key")
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", filepath.Base(name), info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		o    Options
		want string
	}{
		"no keyset":        {Options{File: file}, "add a keyset"},
		"no file":          {Options{Keyset: newKeyset(t)}, "no file is named"},
		"a folder":         {Options{File: dir, Keyset: newKeyset(t)}, "opening the grants"},
		"no database":      {Options{File: text, Keyset: newKeyset(t)}, "no database"},
		"a bad address":    {Options{Postgres: "postgres://u:CANARY@host:x/", Keyset: newKeyset(t)}, "cannot be read"},
		"not private":      {Options{Postgres: "postgres://u:CANARY@db.example.org/d", Keyset: newKeyset(t)}, "would not be private"},
		"not verified":     {Options{Postgres: "postgres://u:CANARY@db.example.org/d?sslmode=require", Keyset: newKeyset(t)}, "would not be private"},
		"nobody is there":  {Options{Postgres: "postgres://u:CANARY@127.0.0.1:1/d?sslmode=disable", Keyset: newKeyset(t)}, "cannot be reached"},
		"a broken address": {Options{Postgres: "host=CANARY port=CANARY", Keyset: newKeyset(t)}, "cannot be read"},
	} {
		_, err := Open(t.Context(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v; want %q", what, err, c.want)
		}
	}
}

// TestNewerTables protects what a newer program has written from an older one.
func TestNewerTables(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alter(t, s, "INSERT INTO delegate_migrations (version_id, is_applied) VALUES (999, "+map[string]string{"sqlite3": "1", "postgres": "true"}[s.dialect.goose]+")")
		if _, err := Open(t.Context(), at); err == nil || !strings.Contains(err.Error(), "newer program") {
			t.Errorf("%v", err)
		}
	})
}

// TestCallbacksInACrowd protects hundreds of members whose platform tells ten times
// of each, all at once: a grant for each, of its owner. CALLBACKS=1000 has it be as
// many.
func TestCallbacksInACrowd(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		members, times := numberOf(t, "CALLBACKS", 300), 10
		at.Timeout = 2 * time.Minute
		s := opened(t, at)
		journeys := make([]*Flow, members)
		for i := range journeys {
			journeys[i] = begun(t, s, &Flow{Owner: owner("user-" + strconv.Itoa(i)), Kind: FlowConnect})
		}
		var failed atomic.Int64
		crowd(members*times, func(n int) {
			i := n % members
			if s.Stage(context.Background(), "mydex", "", journeys[i].CorrelationID.Reveal(), pendingResult("member-"+strconv.Itoa(i), "key-"+strconv.Itoa(i))) != nil {
				failed.Add(1)
			}
		})
		crowd(members*2, func(n int) {
			j := journeys[n%members]
			if _, _, err := s.Complete(context.Background(), Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true}); err != nil {
				failed.Add(1)
			}
		})
		if failed.Load() != 0 {
			t.Errorf("%d failed", failed.Load())
		}
		for i := range members {
			holds(t, s, "user-"+strconv.Itoa(i), "member-"+strconv.Itoa(i), "key-"+strconv.Itoa(i))
		}
		if list := all(t, s); len(list) != members {
			t.Errorf("%d grants", len(list))
		}
	})
}

// TestRaceForOneMember protects a member for whom two people of the app
// consent at once: one of them has the grant, the other is told.
func TestRaceForOneMember(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		s := opened(t, at)
		const people = 20
		var won, lost, odd atomic.Int64
		crowd(people, func(n int) {
			switch _, err := connect(s, "user-"+strconv.Itoa(n), "member", "key-"+strconv.Itoa(n)); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, ErrConflict):
				lost.Add(1)
			default:
				odd.Add(1)
			}
		})
		if won.Load() != 1 || lost.Load() != people-1 || odd.Load() != 0 {
			t.Errorf("%d have it, %d were told, %d otherwise", won.Load(), lost.Load(), odd.Load())
		}
	})
}

// crowd does something n times, some of them at once.
func crowd(n int, do func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
