// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// LazyStore opens a [Store] when it is first needed, so that validating a
// configuration touches no database. While the database is away it tries again by
// itself, from every half second to every 15 s, once for all who wait; these are
// answered at once. Safe for concurrent use.
type LazyStore struct {
	file     string
	options  func() (Options, error)
	onChange func(error)

	mu           sync.Mutex
	store        *Store
	err          error         // the last attempt's
	failingSince time.Time     // when the first of the attempts failed that have failed in a row, in UTC
	reported     string        // what was returned or reported last, by [reportKey]
	firstAttempt chan struct{} // closed after the first attempt; nil before anybody needs the store
	stopLoop     context.CancelFunc
	loopDone     chan struct{} // closed when nothing is tried any more
}

// The time between two attempts: it doubles from the least to the most.
const (
	minRetryInterval = 500 * time.Millisecond
	maxRetryInterval = 15 * time.Second
)

// errClosed is that no configuration uses the store any more.
var errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)

// NewLazyStore returns a store in a SQLite file, or in PostgreSQL if file is empty.
// options is called for each attempt to open it.
func NewLazyStore(file string, options func() (Options, error)) *LazyStore {
	return &LazyStore{file: file, options: options, onChange: func(error) {}}
}

// OnChange sets the call for changes after a failed first attempt: with the error
// once an outage, with an error that [NeedsOperator] whenever it is another one, and
// with nil once the store is open. It is to be called before [LazyStore.Store].
func (o *LazyStore) OnChange(f func(error)) *LazyStore {
	o.onChange = f
	return o
}

// Exists tells whether opening the store would find a database, not make one: a
// command that only looks must not become the owner of a new file.
func (o *LazyStore) Exists() bool {
	if o.file == "" {
		return true
	}
	_, err := os.Stat(o.file)
	return err == nil
}

// Store returns the store, and opens it if it is not open yet; the first callers
// wait for that. If it cannot be opened the error is that of the last attempt: an
// [ErrUnavailable] unless [NeedsOperator].
func (o *LazyStore) Store(ctx context.Context) (*Store, error) {
	o.mu.Lock()
	if o.firstAttempt == nil {
		o.firstAttempt, o.loopDone = make(chan struct{}), make(chan struct{})
		var open context.Context
		open, o.stopLoop = context.WithCancel(delegation.Detach(ctx))
		background.Go("opening the grants", func() { o.openLoop(open) })
	}
	first := o.firstAttempt
	o.mu.Unlock()
	select {
	case <-first:
	case <-ctx.Done(): // the attempt takes long
		return nil, fmt.Errorf("%w: it is being opened", ErrUnavailable)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.store == nil {
		o.reported = reportKey(o.err)
	}
	return o.store, o.err
}

// openLoop tries until the store is open or closed.
func (o *LazyStore) openLoop(ctx context.Context) {
	defer close(o.loopDone)
	for wait := time.Duration(0); ; wait = min(max(2*wait, minRetryInterval), maxRetryInterval) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		store, err := o.openOnce(ctx)
		if o.recordAttempt(ctx, store, err, wait == 0) {
			return
		}
	}
}

// openOnce is one attempt. A panic in a driver must not end the process, nor all
// further attempts.
func (o *LazyStore) openOnce(ctx context.Context) (store *Store, err error) {
	defer func() {
		if _, panicked := errors.AsType[*background.Panic](err); panicked {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}()
	defer background.Recover("opening the grants", &err)
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	return Open(ctx, options)
}

// recordAttempt keeps the end of an attempt, and reports an error that was not
// reported yet. over is true when there is nothing left to try.
func (o *LazyStore) recordAttempt(ctx context.Context, store *Store, err error, first bool) (over bool) {
	o.mu.Lock()
	if ctx.Err() != nil { // closed meanwhile
		o.mu.Unlock()
		if store != nil {
			_ = store.Close() // nobody has used it
		}
		return true
	}
	o.store, o.err = store, err
	if err != nil && o.failingSince.IsZero() {
		o.failingSince = time.Now().UTC()
	}
	news := !first && (err == nil || reportKey(err) != o.reported)
	if o.reported = ""; err != nil && !first {
		o.reported = reportKey(err)
	}
	if first {
		close(o.firstAttempt)
	}
	o.mu.Unlock()
	if news {
		o.onChange(err)
	}
	return err == nil
}

// reportKey is the same for errors of which one report is enough. A database that
// is away says so in ever new words: refused, then EOF, then starting up.
func reportKey(err error) string {
	if !NeedsOperator(err) {
		return "unavailable"
	}
	return err.Error()
}

// IsOpen tells whether the store is open.
func (o *LazyStore) IsOpen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store != nil
}

// Close closes the store for good, if it was opened. [LazyStore.Store] then returns
// an [ErrUnavailable].
func (o *LazyStore) Close() error {
	o.mu.Lock()
	if o.firstAttempt == nil { // nobody has needed it
		o.firstAttempt, o.loopDone, o.stopLoop = make(chan struct{}), make(chan struct{}), func() {}
		close(o.firstAttempt)
		close(o.loopDone)
	}
	o.stopLoop()
	o.mu.Unlock()
	<-o.loopDone
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.firstAttempt:
	default:
		close(o.firstAttempt)
	}
	store := o.store
	o.store, o.err = nil, errClosed
	if store == nil {
		return nil
	}
	return store.Close()
}

// StoreHost is a [delegation.Host] for a provider of this module that keeps other
// things in the database than people's consents.
type StoreHost interface {
	// GrantStore returns the store, in which the provider keeps what is in its own
	// name.
	GrantStore() *LazyStore
}
