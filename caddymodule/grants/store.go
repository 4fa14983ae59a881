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

// Close stops the background work and closes the database.
func (s *Store) Close() error {
	s.stop()
	<-s.eraserDone
	return s.db.Close()
}

// The errors by which callers decide. Any other means that the database cannot be
// used now, see [ErrUnavailable].
var (
	// ErrNotFound is that there is no such grant or consent flow, or no longer.
	ErrNotFound = errors.New("grants: no such grant or consent flow")
	// ErrConflict is that the account belongs to another owner.
	ErrConflict = errors.New("grants: the account belongs to another person")
	// ErrUnavailable is that the database cannot be used now. Nothing was changed;
	// or it was, and the next call with the same arguments finds it so.
	ErrUnavailable = errors.New("grants: the database cannot be used")
	// ErrDamaged is that a row does not open: it was altered, or sealed by a key
	// that is not in the keyset any more.
	ErrDamaged = errors.New("grants: a row does not open: it was altered, or its key is not in the keyset")
)

// unavailableError is an [ErrUnavailable] with the operation and the reason.
type unavailableError struct {
	operation, reason string
	needsOperator     bool
}

func (e *unavailableError) Error() string {
	return ErrUnavailable.Error() + ": " + e.operation + ": " + e.reason
}

func (e *unavailableError) Unwrap() error { return ErrUnavailable }

// NeedsOperator tells whether an error of [Open] or [LazyStore.Store] lasts until
// an operator changes something: the settings, the keyset or the program. Otherwise
// the database is away, and may be back at any moment.
func NeedsOperator(err error) bool {
	if away, ok := errors.AsType[*unavailableError](err); ok {
		return away.needsOperator
	}
	return err != nil && !errors.Is(err, ErrUnavailable)
}

// unavailable hides the database's own text, which may quote values. Errors of this
// package pass.
func (s *Store) unavailable(doing string, err error) error {
	if err == nil || isStoreError(err) {
		return err
	}
	reason, mistaken := s.dialect.reason(err)
	return &unavailableError{doing, reason, mistaken}
}

// isStoreError tells whether an error is one of this package's.
func isStoreError(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrPending) || errors.Is(err, ErrForeignFlow) || errors.Is(err, ErrConflict) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnavailable)
}

// query is a statement that is being built, with its parameters.
type query struct {
	text        strings.Builder
	args        []any
	placeholder func(int) string
}

// buildQuery makes a statement of pieces and values in turn: text, value, text,
// value, …, text. A []string stands for a list of values.
func (s *Store) buildQuery(pieces ...any) (string, []any) {
	q := query{placeholder: s.dialect.placeholder}
	for i, piece := range pieces {
		if i%2 == 0 {
			q.text.WriteString(piece.(string))
			continue
		}
		list, ok := piece.([]string)
		if !ok {
			q.addValue(piece)
			continue
		}
		q.text.WriteByte('(')
		for j, v := range list {
			if j > 0 {
				q.text.WriteByte(',')
			}
			q.addValue(v)
		}
		q.text.WriteByte(')')
	}
	return q.text.String(), q.args
}

func (q *query) addValue(v any) {
	q.args = append(q.args, v)
	q.text.WriteString(q.placeholder(len(q.args)))
}

// scanner is a row of a query.
type scanner interface{ Scan(into ...any) error }

// querier is a database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// queryRow reads one row by into. The error is [ErrNotFound] if there is none.
func (s *Store) queryRow(ctx context.Context, db querier, into func(scanner) error, pieces ...any) error {
	text, args := s.buildQuery(pieces...)
	err := into(db.QueryRowContext(ctx, text, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// exec runs a statement and returns how many rows it has changed.
func (s *Store) exec(ctx context.Context, db querier, pieces ...any) (int64, error) {
	text, args := s.buildQuery(pieces...)
	result, err := db.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
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
