// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// version2 is a database that the program before row keys has written: alice and
// bob are connected, carol was forgotten, dave is on the way, and mallory has
// come second with alice's account.
func version2(t *testing.T) (at Options, dave []string, raw []byte) {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("testdata", "version2", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(read("grants.db.gz")))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = io.ReadAll(unpacked); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "grants.db")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.Parse(string(read("keyset.json")))
	if err != nil {
		t.Fatal(err)
	}
	return Options{File: file, Keyset: keys}, strings.Fields(string(read("dave"))), raw
}

// openable counts the values in some bytes that a keyset opens as the secrets of
// older programs, at whatever offset and of whatever length.
func openable(t *testing.T, at Options, grants []*Grant, raw []byte) (n int) {
	t.Helper()
	start := []byte(nil)
	if sealed, err := at.Keyset.Seal([]byte("x"), nil); err != nil {
		t.Fatal(err)
	} else {
		start = sealed[:5] // version and key id
	}
	for i := 0; ; i++ {
		next := bytes.Index(raw[i:], start)
		if next < 0 {
			return n
		}
		i += next
		for length := 33; length < 200 && i+length <= len(raw); length++ {
			for _, g := range grants {
				if _, err := at.Keyset.Open(raw[i:i+length], tuple.Encode(g.secretAAD()...)); err == nil {
					n++
				}
			}
		}
	}
}

// TestOlderDatabase protects everybody who was connected before row keys: the
// file opens and serves, and what the older program had deleted or left of it is
// erased too.
func TestOlderDatabase(t *testing.T) {
	at, dave, raw := version2(t)
	s := opened(t, at)
	holds(t, s, "alice", "1", "old-key-of-alice")
	holds(t, s, "bob", "2", "old-key-of-bob")
	holds(t, s, "carol", "", "")
	_, err := s.Find(t.Context(), owner("mallory"))
	want(t, "mallory", err, ErrConflict)
	list := all(t, s)
	if openable(t, at, list, raw) == 0 {
		t.Fatal("nothing opens in the old file: the test looks for the wrong thing")
	}
	g, first, err := s.Complete(t.Context(), Return{Owner: owner("dave"), StateToken: dave[0], BrowserToken: dave[1]})
	if err != nil || !first || g.Secret.Reveal() != "staged-key-of-dave" {
		t.Errorf("dave: %v %v", first, err)
	}
	connected(t, s, "bob", "2", "newer-key-of-bob") // is later than what was told by a clock
	holds(t, s, "bob", "2", "newer-key-of-bob")
	erased(t, s)
	if n := openable(t, at, list, files(t, at)); n != 0 {
		t.Errorf("%d values of before open", n)
	}
	if n, err := s.CountOutdated(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// TestOlderDatabaseOtherKeyset protects an old database from a wrong keyset: it
// is left as it was.
func TestOlderDatabaseOtherKeyset(t *testing.T) {
	at, _, _ := version2(t)
	wrong := at
	wrong.Keyset = newKeyset(t)
	_, err := Open(t.Context(), wrong)
	want(t, "with another keyset", err, ErrDamaged)
	holds(t, opened(t, at), "alice", "1", "old-key-of-alice")
}
