// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// DefaultTimeout bounds one operation of the store.
const DefaultTimeout = 5 * time.Second

// opening is what opening a store may take, and migrating what bringing a
// database of an older program up to date may take.
const (
	// openTimeout bounds opening a store, migrateTimeout migrating the database of
	// an older program.
	openTimeout    = time.Minute
	migrateTimeout = 15 * time.Minute
)

// Keyset seals, and makes pseudonyms. The package keyset implements it.
type Keyset interface {
	// Seal encrypts plaintext so that it opens only with the same associated data.
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
	// Name returns a pseudonym of the parts by the primary key, Names those by
	// every key, the primary's first.
	Name(parts ...string) string
	Names(parts ...string) []string
}

// Options are the settings of a store.
type Options struct {
	// Postgres is the address of a PostgreSQL, as a URL or as words such as host=…
	// dbname=…. Empty: SQLite.
	Postgres string
	// File is the database of SQLite. It is made, with its folder, if there is
	// none.
	File string
	// Keyset seals the rows. Required.
	Keyset Keyset
	// Timeout bounds one operation. Default: [DefaultTimeout].
	Timeout time.Duration
	// Warn is called with a matter for the operator that no caller waits for.
	// Default: no call.
	Warn func(what string, err error)
}

// Store keeps grants and consent flows in a database. Safe for concurrent use, also
// by several processes and machines.
type Store struct {
	db      *sql.DB
	dialect dialect
	keys    Keyset
	timeout time.Duration
	warn    func(what string, err error)

	writeSlot chan struct{} // one writer at a time
	lastWrite atomic.Int64  // when the last one has committed, in Unix nanoseconds

	outage outageRecord

	later *laterCommits // outcomes that the database has not taken yet

	eraseSlot  chan struct{} // one erasure at a time
	eraserWake chan struct{} // something was deleted
	stop       context.CancelFunc
	eraserDone chan struct{} // closed when the loop has ended
}

// dialect has the differences between the two databases.
type dialect struct {
	goose       string             // its name in goose, which runs the migrations
	placeholder func(n int) string // the n-th parameter of a statement
	lockWriters string             // a statement by which writers wait for each other; may be empty
	lockName    string             // begins a statement by which those wait for each other that lock the same name, which follows; empty where writers wait anyway
	skipLocked  string             // ends a query by which rows are locked that nobody else has locked; empty where writers wait for each other anyway
	nowQuery    string             // asks for the time in milliseconds; empty: this machine's
	// reason says why an operation has failed, in words that hold no values, and
	// whether an operator has to change something.
	reason func(err error) (text string, mistaken bool)

	// erase cleans a table of row keys, or wholeFile; truncateLog empties the log
	// in which the table's old pages are.
	erase       func(ctx context.Context, s *Store, what string) error
	truncateLog func(ctx context.Context, s *Store) error
}

// Open opens the database, brings its tables up to date, and makes sure that the
// keyset opens what is in it. An error says that it does not, and that nothing was
// changed; no error holds the address's password. See [NeedsOperator].
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Keyset == nil {
		return nil, errors.New("grants are sealed: add a keyset")
	}
	s := &Store{
		keys: o.Keyset, timeout: o.Timeout, warn: o.Warn,
		writeSlot: make(chan struct{}, 1), eraseSlot: make(chan struct{}, 1), eraserWake: make(chan struct{}, 1), eraserDone: make(chan struct{}),
		later: newLaterCommits(),
	}
	if s.warn == nil {
		s.warn = func(string, error) {}
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	var err error
	if o.Postgres != "" {
		err = s.openPostgres(o.Postgres)
	} else {
		err = s.openSQLite(o.File)
	}
	if err != nil {
		return nil, err
	}
	if err = s.migrate(ctx); err == nil {
		err = s.checkKeyset(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	life, stop := context.WithCancel(delegation.Detach(ctx))
	s.stop = stop
	background.Go("erasing what was deleted", func() { s.eraseLoop(life) })
	return s, nil
}

// Close stops the background work, tries for the last time to store what is in
// memory only, and closes the database.
func (s *Store) Close() error {
	s.stop()
	s.later.close()
	<-s.eraserDone
	return s.db.Close()
}

// nextSequence numbers results in the order in which platforms hand them over, by
// the database: the clocks of two machines do not tell which came first.
func (s *Store) nextSequence(ctx context.Context, tx querier) (n int64, err error) {
	err = s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&n) }, "UPDATE counters SET value = value + 1 WHERE name = 'order' RETURNING value")
	return n, err
}

// now returns the time by the database's clock, which is the same for all machines;
// with SQLite that is this machine's.
func (s *Store) now(ctx context.Context, db querier) (time.Time, error) {
	if s.dialect.nowQuery == "" {
		return time.Now(), nil
	}
	var at int64
	err := s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&at) }, s.dialect.nowQuery)
	return time.UnixMilli(at), err
}

// newID returns a new id of a row: 26 random letters and digits.
func newID() string { return strings.ToLower(rand.Text()) }

func millis(t time.Time) int64 { return t.UnixMilli() }
