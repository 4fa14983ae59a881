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

// LazyStore opens a store when it is first needed: a configuration that is only
// validated touches no database. While the database is away it tries again by
// itself, once for all who wait, who are answered at once. Safe for concurrent
// use.
type LazyStore struct {
	file     string
	options  func() (Options, error)
	onChange func(error)

	mu           sync.Mutex
	store        *Store
	err          error         // the last attempt's
	reported     string        // the error that somebody was told of
	firstAttempt chan struct{} // closed after the first attempt; nil before
	stopLoop     context.CancelFunc
	loopDone     chan struct{} // nothing is tried any more
}

// A store that cannot be opened is tried again after retryFirst, and then less
// and less often.
const (
	minRetryInterval = 500 * time.Millisecond
	maxRetryInterval = 15 * time.Second
)

// errClosed says that no configuration uses the store any more.
var errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)

// NewLazyStore returns one for a file of SQLite, or for PostgreSQL if that is
// empty. options is called when the store is opened, and again if that failed.
func NewLazyStore(file string, options func() (Options, error)) *LazyStore {
	return &LazyStore{file: file, options: options, onChange: func(error) {}}
}

// OnChange has f told why a store that could not be opened when it was first tried
// still cannot be, whenever that changes, and with nil that it is open. It is
// to be called before [Opener.Store].
func (o *LazyStore) OnChange(f func(error)) *LazyStore {
	o.onChange = f
	return o
}

// Exists tells whether opening the store would find one, not make it: who only
// looks must not be the owner of a new database.
func (o *LazyStore) Exists() bool {
	if o.file == "" {
		return true
	}
	_, err := os.Stat(o.file)
	return err == nil
}

// Store returns the store, and opens it if it is not yet. The first ones to ask
// wait for that. If it cannot be opened the error is that of the last attempt,
// [ErrUnavailable] if the next one may do better without anybody's doing: see
// [Mistaken].
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
	case <-ctx.Done(): // opening it takes long
		return nil, fmt.Errorf("%w: it is being opened", ErrUnavailable)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.store == nil {
		o.reported = o.err.Error()
	}
	return o.store, o.err
}

// openLoop tries until the store is open, or nobody wants it any more.
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

// recordAttempt keeps what an attempt has come to, and tells what nobody was told yet.
func (o *LazyStore) recordAttempt(ctx context.Context, store *Store, err error, first bool) (over bool) {
	o.mu.Lock()
	if ctx.Err() != nil { // closed meanwhile
		o.mu.Unlock()
		if store != nil {
			_ = store.Close() // nothing was done with it
		}
		return true
	}
	o.store, o.err = store, err
	news := !first && (err == nil || err.Error() != o.reported)
	if o.reported = ""; err != nil && !first {
		o.reported = err.Error()
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

// IsOpen tells whether the store is open.
func (o *LazyStore) IsOpen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store != nil
}

// Close closes the store, if it was opened.
func (o *LazyStore) Close() error {
	o.mu.Lock()
	if o.firstAttempt == nil { // nobody has wanted it
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

// StoreHost is implemented by a host of providers that keeps grants. A provider
// that needs them asks in its Open.
type StoreHost interface {
	// Grants are where the provider keeps its grants, in its own name.
	Grants() *LazyStore
	// RecordConsentEvent has the log tell, and the metrics count, what happened to somebody's.
	RecordConsentEvent(what delegation.ConsentEvent, who delegation.Person)
}
