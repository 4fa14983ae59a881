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

// Opener opens a store when it is first needed: a configuration that is only
// validated touches no database. While the database is away it tries again by
// itself, once for all who wait, who are answered at once. Safe for concurrent
// use.
type Opener struct {
	file    string
	options func() (Options, error)
	tell    func(error)

	mu    sync.Mutex
	store *Store
	err   error         // the last attempt's
	told  string        // the error that somebody was told of
	first chan struct{} // closed after the first attempt; nil before
	stop  context.CancelFunc
	ended chan struct{} // nothing is tried any more
}

// A store that cannot be opened is tried again after retryFirst, and then less
// and less often.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 15 * time.Second
)

// errClosed says that no configuration uses the store any more.
var errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)

// NewOpener returns one for a file of SQLite, or for PostgreSQL if that is
// empty. options is called when the store is opened, and again if that failed.
func NewOpener(file string, options func() (Options, error)) *Opener {
	return &Opener{file: file, options: options, tell: func(error) {}}
}

// Tell has f told why a store that could not be opened when it was first tried
// still cannot be, whenever that changes, and with nil that it is open. It is
// to be called before [Opener.Store].
func (o *Opener) Tell(f func(error)) *Opener {
	o.tell = f
	return o
}

// Made tells whether opening the store would find one, not make it: who only
// looks must not be the owner of a new database.
func (o *Opener) Made() bool {
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
func (o *Opener) Store(ctx context.Context) (*Store, error) {
	o.mu.Lock()
	if o.first == nil {
		o.first, o.ended = make(chan struct{}), make(chan struct{})
		var open context.Context
		open, o.stop = context.WithCancel(delegation.Detach(ctx))
		background.Go("opening the grants", func() { o.keepOpening(open) })
	}
	first := o.first
	o.mu.Unlock()
	select {
	case <-first:
	case <-ctx.Done(): // opening it takes long
		return nil, fmt.Errorf("%w: it is being opened", ErrUnavailable)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.store == nil {
		o.told = o.err.Error()
	}
	return o.store, o.err
}

// keepOpening tries until the store is open, or nobody wants it any more.
func (o *Opener) keepOpening(ctx context.Context) {
	defer close(o.ended)
	for wait := time.Duration(0); ; wait = min(max(2*wait, retryFirst), retryMost) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		store, err := o.try(ctx)
		if o.note(ctx, store, err, wait == 0) {
			return
		}
	}
}

// try is one attempt. A panic in a driver must not end the process, nor all
// further attempts.
func (o *Opener) try(ctx context.Context) (store *Store, err error) {
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

// note keeps what an attempt has come to, and tells what nobody was told yet.
func (o *Opener) note(ctx context.Context, store *Store, err error, first bool) (over bool) {
	o.mu.Lock()
	if ctx.Err() != nil { // closed meanwhile
		o.mu.Unlock()
		if store != nil {
			_ = store.Close() // nothing was done with it
		}
		return true
	}
	o.store, o.err = store, err
	news := !first && (err == nil || err.Error() != o.told)
	if o.told = ""; err != nil && !first {
		o.told = err.Error()
	}
	if first {
		close(o.first)
	}
	o.mu.Unlock()
	if news {
		o.tell(err)
	}
	return err == nil
}

// Opened tells whether the store is open.
func (o *Opener) Opened() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store != nil
}

// Close closes the store, if it was opened.
func (o *Opener) Close() error {
	o.mu.Lock()
	if o.first == nil { // nobody has wanted it
		o.first, o.ended, o.stop = make(chan struct{}), make(chan struct{}), func() {}
		close(o.first)
		close(o.ended)
	}
	o.stop()
	o.mu.Unlock()
	<-o.ended
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.first:
	default:
		close(o.first)
	}
	store := o.store
	o.store, o.err = nil, errClosed
	if store == nil {
		return nil
	}
	return store.Close()
}

// Host is implemented by a host of providers that keeps grants. A provider
// that needs them asks in its Open.
type Host interface {
	// Grants are where the provider keeps its grants, in its own name.
	Grants() *Opener
	// Note has the log tell, and the metrics count, what happened to somebody's.
	Note(what delegation.ConsentEvent, who delegation.Person)
}
