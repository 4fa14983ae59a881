// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// version3 runs a test with databases that the program before version 4 of the
// tables has written. At Mydex alice is connected, bob is suspended and has an
// update staged, carol has two grants of which one was released, mallory has come
// second with alice's account, and henry was forgotten; dave and, in any browser,
// frank have a staged flow, erin an open one, and ida one that is done. gina is
// bound at MyDataHelps. flows has their correlation ID, state and browser token.
func version3(t *testing.T, test func(t *testing.T, s *Store, flows map[string][3]string)) {
	t.Helper()
	ofVersion(t, "version3", func(t *testing.T, at Options, flows map[string][3]string) { test(t, opened(t, at), flows) })
}

// ofVersion runs a test with the databases in a folder of testdata, and with what is
// told there of their flows.
func ofVersion(t *testing.T, folder string, test func(t *testing.T, at Options, flows map[string][3]string)) {
	t.Helper()
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("testdata", folder, name))
		if err == nil && filepath.Ext(name) == ".gz" {
			var unpacked io.Reader
			if unpacked, err = gzip.NewReader(bytes.NewReader(text)); err == nil {
				text, err = io.ReadAll(unpacked)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	with := func(database string, write func(t *testing.T, at *Options) error) {
		t.Run(database, func(t *testing.T) {
			keys, err := keyset.Parse(string(read(t, "keyset.json")))
			if err != nil {
				t.Fatal(err)
			}
			at := Options{Keyset: keys}
			if err := write(t, &at); err != nil {
				t.Fatal(err)
			}
			flows := make(map[string][3]string)
			if err := json.Unmarshal(read(t, "flows."+database+".json"), &flows); err != nil {
				t.Fatal(err)
			}
			test(t, at, flows)
		})
	}
	with("sqlite", func(t *testing.T, at *Options) error {
		at.File = filepath.Join(t.TempDir(), "grants.db")
		return os.WriteFile(at.File, read(t, "grants.db.gz"), 0o600)
	})
	with("postgres", func(t *testing.T, at *Options) (err error) {
		server := postgresServer(t)
		if at.Postgres, err = server.Database(t.Context()); err != nil {
			return err
		}
		return server.Exec(t.Context(), at.Postgres, string(read(t, "grants.sql.gz")))
	})
}

// TestVersion3 protects everybody who was connected, bound or on the way to consent
// when the program was updated: all is found as it was, flows under way end, and
// what the new columns hold can be written.
func TestVersion3(t *testing.T) {
	version3(t, func(t *testing.T, s *Store, flows map[string][3]string) {
		holds(t, s, "alice", "1", "key-of-alice")
		holds(t, s, "bob", "2", "key-of-bob")
		holds(t, s, "carol", "4", "key-of-carol")
		holds(t, s, "henry", "", "")
		holds(t, s, "ida", "8", "key-of-ida")
		_, err := s.Find(t.Context(), owner("mallory"))
		want(t, "mallory", err, ErrConflict)
		want(t, "gina", s.CheckBinding(t.Context(), Owner{Provider: "mydatahelps", Source: "field", Person: owner("gina").Person}, "participant"), nil)
		if got := states(t, s); got != "4 active, 1 suspended, 1 conflict, 1 retired" {
			t.Error(got)
		}
		for _, g := range all(t, s) {
			if g.Version < 1 || g.Label != "" || g.Scopes != nil || g.SuspendCause != "" || g.SuspendCount != 0 || !g.LastUsed.IsZero() {
				t.Errorf("%+v", g)
			}
		}
		decided := 0
		if err := s.Decisions(t.Context(), func(Decision) error { decided++; return nil }); err != nil || decided != 1 {
			t.Errorf("%d decisions, %v", decided, err)
		}

		complete := func(who string) (*Grant, bool, error) {
			return s.Complete(t.Context(), Return{Owner: owner(who), StateToken: flows[who][1], BrowserToken: flows[who][2], AnyBrowser: flows[who][2] == ""})
		}
		_, _, err = complete("erin")
		want(t, "erin, before the platform calls", err, ErrPending)
		want(t, "the platform calls", s.Stage(t.Context(), "mydex", "", flows["erin"][0], pendingResult("9", "key-of-erin")), nil)
		want(t, "and again of dave", s.Stage(t.Context(), "mydex", "", flows["dave"][0], pendingResult("6", "staged-key-of-dave")), nil)
		want(t, "and again of ida", s.Stage(t.Context(), "mydex", "", flows["ida"][0], pendingResult("8", "key-of-ida")), nil)
		want(t, "and otherwise of ida", s.Stage(t.Context(), "mydex", "", flows["ida"][0], pendingResult("8", "another")), ErrNotFound)
		for who, secret := range map[string]string{"dave": "staged-key-of-dave", "erin": "key-of-erin", "frank": "staged-key-of-frank", "bob": "newer-key-of-bob"} {
			if g, first, err := complete(who); err != nil || !first || g.Secret.Reveal() != secret || g.State != Active {
				t.Errorf("%s: %+v %t %v", who, g, first, err)
			}
		}
		if g, first, err := complete("ida"); err != nil || first || g.Secret.Reveal() != "key-of-ida" {
			t.Errorf("ida: %+v %t %v", g, first, err)
		}
		connected(t, s, "alice", "1", "newer-key-of-alice")
		holds(t, s, "alice", "1", "newer-key-of-alice")
		g, err := s.Find(t.Context(), owner("carol"))
		if err != nil {
			t.Fatal(err)
		}
		if done, err := s.Suspend(t.Context(), g, "refused"); err != nil || !done {
			t.Errorf("%t %v", done, err)
		}
		if n, err := s.Rename(t.Context(), "mydex", "renamed", "root"); err != nil || n < 10 {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := s.Find(t.Context(), owner("dave")); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}
