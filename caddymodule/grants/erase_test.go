// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// files are all bytes of a database: of SQLite its file, log and shared memory,
// of PostgreSQL every relation of the server.
func files(t *testing.T, at Options) []byte {
	t.Helper()
	dir := filepath.Dir(at.File)
	if at.Postgres != "" {
		db, err := sql.Open("pgx", at.Postgres)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), "CHECKPOINT"); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRowContext(t.Context(), "SELECT current_setting('data_directory') || '/base'").Scan(&dir); err != nil {
			t.Fatal(err)
		}
	}
	var all []byte
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".json") {
			return nil //nolint:nilerr // a relation that has just been removed
		}
		text, err := os.ReadFile(path)
		if err == nil {
			all = append(all, text...)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// sealedKeys are the row keys, as the database has them.
func sealedKeys(t *testing.T, s *Store) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, name := range rowKeyTableNames {
		keys, err := rowKeysIn(t.Context(), s.db, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			all[k.id] = k.sealed
		}
	}
	return all
}

// gone wants the keys that have been in the database and are not any more to be
// in none of its files, and those that are there to be in them.
func gone(t *testing.T, s *Store, at Options, before map[string][]byte) {
	t.Helper()
	now, dump := sealedKeys(t, s), files(t, at)
	lost := 0
	for id, sealed := range before {
		_, kept := now[id]
		if there := bytes.Contains(dump, sealed); kept && !there {
			t.Error("a key that is in use is in no file: the test looks in the wrong place")
		} else if !kept && there {
			t.Errorf("the key %s of a row that is gone is still in the files", id)
		} else if !kept {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing has gone")
	}
	if left, err := s.pendingErasures(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%v is noted as left, %v", left, err)
	}
}

func erased(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := s.Erase(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestErase protects what people have had deleted from whoever reads the files:
// every way in which a row ends takes the key of it out of them, and every
// sealed value that it had with it.
func TestErase(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for i := range 40 {
			who := "other-" + strconv.Itoa(i)
			connected(t, s, who, who, "key")
		}
		for what, end := range map[string]func(g *Grant, open *Flow) error{
			"forgotten": func(g *Grant, _ *Flow) error { return s.DeleteByOwner(t.Context(), g.Owner) },
			"deleted":   func(g *Grant, _ *Flow) error { return s.Delete(t.Context(), g.ID, "root") },
			"another key": func(g *Grant, _ *Flow) error {
				_, err := connect(s, g.Subject, g.Account, "another key")
				return err
			},
			"released":           func(g *Grant, _ *Flow) error { return s.Release(t.Context(), g.ID, "root") },
			"a journey declined": func(_ *Grant, open *Flow) error { return s.Deny(t.Context(), open.returned(), "consent_denied") },
			"a journey that is long over": func(*Grant, *Flow) error {
				alter(t, s, "UPDATE journeys SET expires = 1")
				return s.sweepFlows(t.Context())
			},
		} {
			g := connected(t, s, what, what, "key of "+what)
			open := begun(t, s, newFlow(what))
			erased(t, s) // or the background writes tables anew while the files are read
			before := sealedKeys(t, s)
			if dump := files(t, at); !bytes.Contains(dump, before[g.rowKey]) {
				t.Fatal("the key that is in use is in no file: the test looks in the wrong place")
			}
			if err := end(g, open); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			erased(t, s)
			gone(t, s, at, before)
		}
		for i := range 40 {
			who := "other-" + strconv.Itoa(i)
			holds(t, s, who, who, "key")
		}
	})
}

// TestEraseAfterCrash protects the same from a process that ends between the
// deletion and the erasure: the next one to open the database goes on.
func TestEraseAfterCrash(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "key")
		erased(t, s)
		before := sealedKeys(t, s)
		s.eraseSlot <- struct{}{} // as if it died there
		if err := s.write(t.Context(), "deleting", func(ctx context.Context, tx querier) error {
			return s.deleteRows(ctx, tx, "DELETE FROM grants")
		}); err != nil {
			t.Fatal(err)
		}
		if dump := files(t, at); !bytes.Contains(dump, before[firstOf(t, before, sealedKeys(t, s))]) {
			t.Fatal("it is gone before it is erased: the test shows nothing")
		}
		next := opened(t, at)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if left, err := next.pendingErasures(t.Context()); err == nil && len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("nobody has erased it")
			}
		}
		gone(t, next, at, before)
		<-s.eraseSlot
	})
}

// firstOf is a key that was there and is not any more.
func firstOf(t *testing.T, before, now map[string][]byte) string {
	t.Helper()
	for id := range before {
		if _, kept := now[id]; !kept {
			return id
		}
	}
	t.Fatal("no key is gone")
	return ""
}

// TestEraseDuringDump protects a backup that is being made from finding an empty
// table, which its restoration would tell first, and readers from waiting behind
// it. What was deleted meanwhile is erased when it is over.
func TestEraseDuringDump(t *testing.T) {
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t)}
	s := opened(t, at)
	for i := range 64 {
		who := "user-" + strconv.Itoa(i)
		connected(t, s, who, who, "key")
	}
	erased(t, s)
	before := sealedKeys(t, s)
	dump, err := s.db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dump.Rollback() }()
	if _, err := dump.ExecContext(t.Context(), "SELECT count(*) FROM grants"); err != nil { // its snapshot
		t.Fatal(err)
	}
	if err := s.DeleteByOwner(t.Context(), owner("user-1")); err != nil {
		t.Fatal(err)
	}
	erased(t, s) // it has not locked the tables yet
	found := 0
	for _, name := range rowKeyTableNames {
		keys, err := rowKeysIn(t.Context(), dump, name) // and has from now on
		if err != nil {
			t.Fatal(err)
		}
		found += len(keys)
	}
	if found < len(before)-2 {
		t.Errorf("the dump sees %d keys of %d", found, len(before))
	}
	began := time.Now()
	if err := s.DeleteByOwner(t.Context(), owner("user-2")); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "user-2", "", "")
	holds(t, s, "user-3", "user-3", "key")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s while a dump was made", took)
	}
	if err := s.Erase(t.Context()); err == nil {
		t.Error("it says that all is erased while the dump has it")
	}
	if err := dump.Rollback(); err != nil {
		t.Fatal(err)
	}
	erased(t, s)
	gone(t, s, at, before)
}

// TestEraseWhileRead is the same for SQLite, whose log a reader keeps in use.
func TestEraseWhileRead(t *testing.T) {
	at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}
	s := opened(t, at)
	connected(t, s, "alice", "1", "key")
	erased(t, s)
	before := sealedKeys(t, s)
	cmd := exec.CommandContext(t.Context(), "sqlite3", at.File)
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
	_, _ = io.WriteString(in, "BEGIN; SELECT count(*) FROM grants;\n")
	_, _ = out.Read(make([]byte, 10))
	if err := s.DeleteByOwner(t.Context(), owner("alice")); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context()); err == nil {
		t.Error("it says that all is erased while the log is in use")
	}
	_, _ = io.WriteString(in, "COMMIT;\n")
	_ = in.Close()
	_ = cmd.Wait()
	erased(t, s)
	gone(t, s, at, before)
}
