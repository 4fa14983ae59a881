// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
	"github.com/caddy-delegate/caddy-delegate/integration/postgres"
)

// The server is the same for all tests; each has a database of its own.
var server = sync.OnceValues(postgres.Start)

var started bool

func TestMain(m *testing.M) {
	if file := os.Getenv(writerFile); file != "" {
		write(file)
		return
	}
	if os.Getenv(refreshIssuer) != "" {
		if err := refreshUntilKilled(); err != nil {
			fmt.Println("failed:", err)
		}
		return
	}
	if os.Getenv(connectPlatform) != "" {
		if err := connectUntilKilled(); err != nil {
			fmt.Println("failed:", err)
		}
		return
	}
	code := m.Run()
	if started {
		s, _ := server()
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func postgresServer(t testing.TB) *postgres.Server {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	started = true
	return s
}

func newKeyset(t testing.TB) *keyset.Keyset {
	t.Helper()
	k, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// each runs a test with both databases. at is where the database is.
func each(t *testing.T, test func(t *testing.T, at Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, Options{File: filepath.Join(t.TempDir(), "delegate", "grants.db"), Keyset: newKeyset(t)})
	})
	t.Run("postgres", func(t *testing.T) {
		address, err := postgresServer(t).Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		test(t, Options{Postgres: address, Keyset: newKeyset(t)})
	})
}

func opened(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func owner(subject string) Owner {
	return Owner{Provider: "mydex", Person: delegation.Person{Realm: "app", Subject: subject}}
}

func pendingResult(account, secret string) PendingResult {
	return PendingResult{Account: account, Secret: delegation.NewSecret(secret)}
}

// connect has somebody go the whole way.
func connect(s *Store, who, account, secret string) (*Grant, error) {
	j := &Flow{Owner: owner(who), Kind: FlowConnect}
	if err := s.Begin(context.Background(), j); err != nil {
		return nil, err
	}
	if err := s.Stage(context.Background(), j.Provider, j.Source, j.CorrelationID.Reveal(), pendingResult(account, secret)); err != nil {
		return nil, err
	}
	g, _, err := s.Complete(context.Background(), Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true})
	return g, err
}

func connected(t testing.TB, s *Store, who, account, secret string) *Grant {
	t.Helper()
	g, err := connect(s, who, account, secret)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// holds wants somebody to have a grant; an empty account means none.
func holds(t testing.TB, s *Store, who, account, secret string) {
	t.Helper()
	g, err := s.Find(context.Background(), owner(who))
	switch {
	case account == "" && !errors.Is(err, ErrNotFound):
		t.Errorf("%s has %+v, %v; want none", who, g, err)
	case account == "":
	case err != nil:
		t.Errorf("%s: %v", who, err)
	case g.Account != account || g.Secret.Reveal() != secret || g.Owner != owner(who):
		t.Errorf("%s has %s with %q, of %+v; want %s with %q", who, g.Account, g.Secret.Reveal(), g.Owner, account, secret)
	}
}

func want(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// always is for a binding that nothing has ended meanwhile.
func always() bool { return true }
