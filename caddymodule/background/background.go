// SPDX-License-Identifier: Apache-2.0

// Package background owns every goroutine and timer of this module. A panic in
// a goroutine that recovers nothing ends the process, and with it all sites of
// the server, whoever's provider or answer has caused it. Here it becomes an
// error: recovered, reported without its text, and counted.
package background

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Panic is a panic that was recovered. It tells the panic's type and where it
// happened, never its text or arguments: those may hold a token or a person.
type Panic struct {
	// Doing is what was being done.
	Doing string
	// Type is the type of the value that was panicked with.
	Type string
	// Stack are the functions that were running, innermost first, a line each.
	Stack string
}

// Error implements error.
func (p *Panic) Error() string { return p.Doing + ": panic: " + p.Type }

// panicHandler is process-wide, as goroutines are: what outlives a configuration has
// no configuration's logger.
var panicHandler atomic.Pointer[func(*Panic)]

// OnPanic sets what is told of panics. It must not panic or wait.
func OnPanic(f func(*Panic)) { panicHandler.Store(&f) }

// Recover ends a panic of the function that defers it, and sets its error. To
// be deferred itself: `defer background.Recover("minting", &err)`.
func Recover(doing string, err *error) {
	value := recover()
	if value == nil {
		return
	}
	p := &Panic{Doing: doing, Type: fmt.Sprintf("%T", value), Stack: stack()}
	*err = p
	if tell := panicHandler.Load(); tell != nil {
		(*tell)(p)
	}
}

// Do runs f here. A panic of f is its error, a [*Panic].
func Do(doing string, f func() error) (err error) {
	defer Recover(doing, &err)
	return f()
}

// Go runs f in a goroutine of its own.
func Go(doing string, f func()) {
	go func() { _ = Do(doing, func() error { f(); return nil }) }()
}

// GoIn is [Go] with a group that waits for it.
func GoIn(group *sync.WaitGroup, doing string, f func()) {
	group.Go(func() { _ = Do(doing, func() error { f(); return nil }) })
}

// After runs f in a goroutine of its own after d, unless the timer is stopped.
func After(d time.Duration, doing string, f func()) *time.Timer {
	return time.AfterFunc(d, func() { _ = Do(doing, func() error { f(); return nil }) })
}

const maxFrames = 64

// stack names functions and lines alone: debug.Stack would write arguments too.
func stack() string {
	var pcs [maxFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])]) // from the caller of Recover on
	var text strings.Builder
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&text, "%s (%s:%d)\n", f.Function, f.File, f.Line)
	}
	return text.String()
}
