// SPDX-License-Identifier: Apache-2.0

// Package background owns the goroutines and timers of this module. A panic in
// a goroutine that recovers nothing ends the process, and with it all sites of
// the server, whatever provider or response has caused it. Here it becomes an
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

// Panic is a recovered panic. It holds the panic's type and place, never its
// text or arguments, which may be a token or name a person.
type Panic struct {
	// Doing is the activity, such as "minting".
	Doing string
	// Type is the Go type of the panic's value.
	Type string
	// Stack are the functions that were running, the innermost first, each with
	// file and line, separated by line breaks.
	Stack string
}

// Error implements error.
func (p *Panic) Error() string { return p.Doing + ": panic: " + p.Type }

// panicHandler is the process's, as goroutines are: what outlives a
// configuration has no configuration's logger.
var panicHandler atomic.Pointer[func(*Panic)]

// OnPanic sets the function that is called with each recovered panic. It must
// not panic or block.
func OnPanic(f func(*Panic)) { panicHandler.Store(&f) }

// Recover recovers a panic of the function that defers it and sets its error, a
// [*Panic]. It has to be deferred itself: `defer background.Recover("minting",
// &err)`.
func Recover(doing string, err *error) {
	value := recover()
	if value == nil {
		return
	}
	p := &Panic{Doing: doing, Type: fmt.Sprintf("%T", value), Stack: stack()}
	*err = p
	if handle := panicHandler.Load(); handle != nil {
		(*handle)(p)
	}
}

// Do calls f. A panic of f is the error, a [*Panic].
func Do(doing string, f func() error) (err error) {
	defer Recover(doing, &err)
	return f()
}

// Go calls f in a goroutine of its own.
func Go(doing string, f func()) {
	go func() { _ = Do(doing, func() error { f(); return nil }) }()
}

// GoIn is [Go] with a group that waits for the goroutine.
func GoIn(group *sync.WaitGroup, doing string, f func()) {
	group.Go(func() { _ = Do(doing, func() error { f(); return nil }) })
}

// After calls f in a goroutine of its own after d, unless the timer is stopped.
func After(d time.Duration, doing string, f func()) *time.Timer {
	return time.AfterFunc(d, func() { _ = Do(doing, func() error { f(); return nil }) })
}

// maxFrames bounds the functions of a [Panic].
const maxFrames = 64

// stack returns the names of the running functions with their files and lines.
// debug.Stack would print arguments as well.
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
