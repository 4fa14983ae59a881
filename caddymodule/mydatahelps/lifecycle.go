// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"sync"
)

// lifecycle is how long the work of a participant cache goes on. Background work ends
// when no configuration uses the cache any more. Reading the list for requests that
// wait ends when the last of them is answered: they may be waiting in a
// configuration that a reload has replaced, and have deadlines of their own.
type lifecycle struct {
	mu         sync.Mutex
	closed     bool
	lookups    int
	background cancellable // nobody waits for it
	foreground cancellable
}

// cancellable is a context with its cancel function.
type cancellable struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newCancellable() cancellable {
	ctx, cancel := context.WithCancel(context.Background())
	return cancellable{ctx, cancel}
}

func newLifecycle() lifecycle {
	return lifecycle{background: newCancellable(), foreground: newCancellable()}
}

// beginLookup counts a look-up until the returned function is called.
func (l *lifecycle) beginLookup() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lookups++
	if l.foreground.ctx.Err() != nil {
		l.foreground = newCancellable()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lookups--
		l.cancelIdle()
	}
}

// listContext returns the context for reading the list for requests that wait.
func (l *lifecycle) listContext() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.foreground.ctx
}

// cancelIdle ends reading the list if nobody can wait for it any more. The caller
// holds mu.
func (l *lifecycle) cancelIdle() {
	if l.closed && l.lookups == 0 {
		l.foreground.cancel()
	}
}

// unused reports whether no configuration uses the cache any more.
func (l *lifecycle) unused() bool { return l.background.ctx.Err() != nil }

func (l *lifecycle) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.background.cancel()
	l.cancelIdle()
}
