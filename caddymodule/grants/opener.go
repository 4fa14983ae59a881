// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Opener opens a store when it is first needed: a configuration that is only
// validated touches no database. Safe for concurrent use.
type Opener struct {
	file    string
	options func() (Options, error)

	turn   chan struct{} // who has it may use what follows
	store  *Store
	closed bool
	failed error     // the last time
	tried  time.Time // and when that was
}

// retry is how long a store that could not be opened is left alone: whoever
// waits for it would wait one after the other.
const retry = 2 * time.Second

// NewOpener returns one for a file of SQLite, or for PostgreSQL if that is
// empty. options is called when the store is opened, and again if that failed.
func NewOpener(file string, options func() (Options, error)) *Opener {
	return &Opener{file: file, options: options, turn: make(chan struct{}, 1)}
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

// Store returns the store, and opens it if it is not yet. The error of one
// that cannot be opened now is [ErrUnavailable]; it is tried again the next
// time.
func (o *Opener) Store(ctx context.Context) (*Store, error) {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done(): // whoever opens it takes long
		return nil, errors.Join(ErrUnavailable, ctx.Err())
	}
	defer func() { <-o.turn }()
	switch {
	case o.store != nil:
		return o.store, nil
	case o.closed:
		return nil, ErrUnavailable
	case o.failed != nil && time.Since(o.tried) < retry:
		return nil, o.failed
	}
	options, err := o.options()
	if err != nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), opening)
	defer cancel()
	o.store, o.failed = Open(ctx, options)
	o.tried = time.Now()
	return o.store, o.failed
}

// Close closes the store, if it was opened.
func (o *Opener) Close() error {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	o.closed = true
	if o.store == nil {
		return nil
	}
	err := o.store.Close()
	o.store = nil
	return err
}

// Host is implemented by a host of providers that keeps grants. A provider
// that needs them asks in its Open.
type Host interface {
	// Grants are where the provider keeps its grants, in its own name.
	Grants() *Opener
	// Note has the log tell, and the metrics count, what happened to somebody's.
	Note(what delegation.ConsentEvent, who delegation.Person)
}
