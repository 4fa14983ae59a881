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

// DefaultTimeout bounds one operation.
const DefaultTimeout = 5 * time.Second

// opening is what opening a store may take, and migrating what bringing a
// database of an older program up to date may take.
const (
	openTimeout    = time.Minute
	migrateTimeout = 15 * time.Minute
)

// Keyset seals and names. It is implemented by the package keyset.
type Keyset interface {
	Seal(plaintext, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
	// Name is a pseudonym of the parts; Names are those by every key.
	Name(parts ...string) string
	Names(parts ...string) []string
}

// Options of a store.
type Options struct {
	// Postgres is the address of a PostgreSQL, as a URL or as words such as
	// host=… dbname=…. Empty: SQLite.
	Postgres string
	// File is where SQLite keeps its database. Its folder is made if there is
	// none.
	File string
	// Keyset seals what is kept. Required.
	Keyset Keyset
	// Timeout bounds one operation. Default: 5 s.
	Timeout time.Duration
	// Warn is told what an operator should know and no caller is waiting for.
	// Default: nobody is.
	Warn func(what string, err error)
}

// Store keeps grants. Safe for concurrent use, also of several processes.
type Store struct {
	db      *sql.DB
	dialect dialect
	keys    Keyset
	timeout time.Duration
	warn    func(what string, err error)

	writeSlot chan struct{} // one at a time
	lastWrite atomic.Int64  // when somebody last has, in Unix nanoseconds

	eraseSlot  chan struct{} // one at a time
	eraserWake chan struct{} // something was deleted
	stop       context.CancelFunc
	eraserDone chan struct{} // nothing runs in the background any more
}

// dialect is in what the two databases differ.
type dialect struct {
	goose       string             // its name there
	placeholder func(n int) string // the n-th parameter
	lockWriters string             // has writers wait for each other; may be empty
	nowQuery    string             // asks for the time in milliseconds; empty: this machine's
	// What may be told of an error, and whether it is one of the settings.
	reason func(err error) (text string, mistaken bool)

	erase       func(ctx context.Context, s *Store, what string) error
	truncateLog func(ctx context.Context, s *Store) error
}

// Open opens the database, brings its tables up to date, and makes sure that
// the keyset opens what is in it. It is an error, and nothing is changed, if
// it does not. No error holds the address's password.
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

// Close lets go of the database.
func (s *Store) Close() error {
	s.stop()
	<-s.eraserDone
	return s.db.Close()
}

// The errors by which callers decide. Any other means that the database cannot
// be used now; see [ErrUnavailable].
var (
	// ErrNotFound says that there is no such grant or journey, or no longer.
	ErrNotFound = errors.New("grants: there is none")
	// ErrConflict says that the account belongs to somebody else.
	ErrConflict = errors.New("grants: the account belongs to another person")
	// ErrUnavailable says that the database cannot be used now. Nothing was
	// changed, or it will be found unchanged when it can be used again.
	ErrUnavailable = errors.New("grants: the database cannot be used")
	// ErrDamaged says that what is kept cannot be opened: it was altered, or
	// sealed by a key that is no longer in the keyset.
	ErrDamaged = errors.New("grants: what is kept cannot be opened")
)

// unavailableError is an [ErrUnavailable] and what may be told of it.
type unavailableError struct {
	operation, reason string
	needsOperator     bool
}

func (e *unavailableError) Error() string {
	return ErrUnavailable.Error() + ": " + e.operation + ": " + e.reason
}

func (e *unavailableError) Unwrap() error { return ErrUnavailable }

// NeedsOperator tells whether an error of [Open] or [Opener.Store] needs somebody to
// change something: the settings, the keyset or the program. Otherwise the
// database is away, and may be back at any moment.
func NeedsOperator(err error) bool {
	if away, ok := errors.AsType[*unavailableError](err); ok {
		return away.needsOperator
	}
	return err != nil && !errors.Is(err, ErrUnavailable)
}

// unavailable hides what a database says: it may quote what it was given.
func (s *Store) unavailable(doing string, err error) error {
	if err == nil || isStoreError(err) {
		return err
	}
	reason, mistaken := s.dialect.reason(err)
	return &unavailableError{doing, reason, mistaken}
}

// isStoreError tells whether an error is one of ours.
func isStoreError(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrPending) || errors.Is(err, ErrForeignFlow) || errors.Is(err, ErrConflict) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnavailable)
}

// query is a statement with the parameters it is to have.
type query struct {
	text        strings.Builder
	args        []any
	placeholder func(int) string
}

// buildQuery makes a statement of pieces and values: after each piece but the last
// stands a value. A slice stands for a list of values.
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

// scanner is a row.
type scanner interface{ Scan(into ...any) error }

// querier is a database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// queryRow reads one row.
func (s *Store) queryRow(ctx context.Context, db querier, into func(scanner) error, pieces ...any) error {
	text, args := s.buildQuery(pieces...)
	err := into(db.QueryRowContext(ctx, text, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// exec changes rows, and tells how many.
func (s *Store) exec(ctx context.Context, db querier, pieces ...any) (int64, error) {
	text, args := s.buildQuery(pieces...)
	result, err := db.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// nextSequence numbers what happens, in the order of the database: the clocks of two
// machines do not tell what was first.
func (s *Store) nextSequence(ctx context.Context, tx querier) (n int64, err error) {
	err = s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&n) }, "UPDATE counters SET value = value + 1 WHERE name = 'order' RETURNING value")
	return n, err
}

// now is the time by the database, which is the same for all machines.
func (s *Store) now(ctx context.Context, db querier) (time.Time, error) {
	if s.dialect.nowQuery == "" {
		return time.Now(), nil
	}
	var at int64
	err := s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&at) }, s.dialect.nowQuery)
	return time.UnixMilli(at), err
}

// newID is the name of a row.
func newID() string { return strings.ToLower(rand.Text()) }

func millis(t time.Time) int64 { return t.UnixMilli() }
