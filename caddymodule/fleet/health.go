// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

const (
	// every is how often Redis is tried while it is down.
	every = time.Second
	// patience is how many timeouts a new connection may take.
	patience = 4
)

// errDown is why a step was not done: Redis cannot be used.
var errDown = errors.New("redis is down")

// errLost is an outage that only the data has noticed.
var errLost = errors.New("redis has lost its data")

// link is the time between two outages. Whoever waits for Redis leaves when it
// ends.
type link struct{ down chan struct{} }

// health is whether Redis can be used.
type health struct {
	link atomic.Pointer[link] // nil: it cannot

	mu       sync.Mutex // one change at a time, and told in their order
	outage   bool
	cause    string // of the outage
	ended    bool
	onChange []*func(up bool, cause string) // the latest counts
}

// OnChange sets what is called when Redis goes down, with the cause, and when
// it is back; nil is nothing. It must not wait. It counts instead of what was
// set before, which counts again once release is called: the one who set it
// may be a configuration that is refused in the end.
func (f *Fleet) OnChange(call func(up bool, cause string)) (release func()) {
	h := &f.health
	h.mu.Lock()
	defer h.mu.Unlock()
	one := &call
	h.onChange = append(h.onChange, one)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.onChange = slices.DeleteFunc(h.onChange, func(other *func(bool, string)) bool { return other == one })
	}
}

// tell is for who holds the lock.
func (h *health) tell(up bool, cause string) {
	if n := len(h.onChange); n > 0 && *h.onChange[n-1] != nil {
		(*h.onChange[n-1])(up, cause)
	}
}

// Up tells whether Redis is in use.
func (f *Fleet) Up() bool { return f.health.link.Load() != nil }

// fall ends a link; nil is the attempt to make one.
func (f *Fleet) fall(l *link, err error) {
	h := &f.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link.Load() != l || h.ended {
		return // others have noticed
	}
	if l != nil {
		h.link.Store(nil)
		close(l.down)
	}
	why := cause(err)
	if h.outage && (why == h.cause || denied(err) == "") {
		return
	}
	if !h.outage {
		f.failures.Add(1)
	}
	h.outage, h.cause = true, why
	h.tell(false, why) // again, if it is another command that is missing
}

// rise begins a link, unless there are purges that the others do not know of:
// until they do, tokens that were purged look good.
func (f *Fleet) rise() *link {
	h := &f.health
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &link{down: make(chan struct{})}
	f.mu.Lock()
	ready := !h.ended && len(f.journal.pending) == 0
	if ready {
		h.link.Store(l)
	}
	f.mu.Unlock()
	if !ready {
		return nil
	}
	if h.outage {
		h.tell(true, "")
	}
	h.outage, h.cause = false, ""
	return l
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if l := h.link.Swap(nil); l != nil {
		close(l.down)
	}
}

// reach returns the link, or nil if Redis cannot be used now.
func (f *Fleet) reach(ctx context.Context) *link {
	f.Start()
	select {
	case <-f.tried:
	case <-ctx.Done():
	}
	return f.health.link.Load()
}

// do runs commands in their turn. The error is ctx's, or errDown, or that of a
// lock: whatever else went wrong ends the link. The timeout does not include
// the wait for the turn, or a thousand requests at once would look like a slow
// Redis.
func (f *Fleet) do(ctx context.Context, l *link, commands func(context.Context) error) error {
	if err := f.turn(ctx, l); err != nil {
		return err
	}
	defer func() { <-f.turns }()
	err := f.try(ctx, commands)
	if err == nil || errors.Is(err, redislock.ErrNotObtained) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.fall(l, err)
	return errDown
}

// turn waits for one of the turns. Whoever holds an ended link gets none.
func (f *Fleet) turn(ctx context.Context, l *link) error {
	// Enough must be left of a flight's time to mint alone.
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		half = time.After(time.Until(deadline) / 2)
	}
	select {
	case f.turns <- struct{}{}:
		if f.health.link.Load() == l {
			return nil
		}
		<-f.turns
		return errDown
	case <-l.down:
		return errDown
	case <-half:
		return errDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try runs commands, again if they take too long: a process that has too much
// to do finds each answer late, and then of all times no machine should mint
// for itself. Redis is slow if that happens twice although this process is
// on time, and nobody else here has got an answer meanwhile.
func (f *Fleet) try(ctx context.Context, commands func(context.Context) error) error {
	limit := f.timeout / 2
	for attempt := 1; ; attempt++ {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, limit)
		err := commands(limited)
		cancel()
		if err == nil {
			f.answered.Store(time.Now().UnixNano())
		}
		if !late(err) {
			return err
		}
		// The socket may notice ctx's deadline before ctx does.
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(began.Add(limit)) {
			<-ctx.Done()
			return ctx.Err()
		}
		stopped := time.Now()
		runtime.Gosched() // how long is it until our next turn?
		lag := max(stopped.Sub(began)-limit, time.Since(stopped))
		busy := lag > limit/25 || f.answered.Load() > began.UnixNano()
		if ctx.Err() != nil || attempt >= 2 && !busy || attempt == 8 {
			return err
		}
	}
}

func late(err error) bool {
	var timeout net.Error
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) || errors.As(err, &timeout) && timeout.Timeout())
}

// cause says why Redis is down, in our own words: the errors hold addresses.
func cause(err error) string {
	if d, ok := errors.AsType[*denial](err); ok {
		return d.Error()
	}
	if words := denied(err); words != "" {
		return (&denial{words: []string{words}}).Error()
	}
	for _, known := range []struct{ prefix, cause string }{
		{"OOM", "it is full; see its maxmemory"},
		{"READONLY", "it is a replica and takes no writes"},
		{"UNBLOCKED", "it is a replica and takes no writes"}, // now, and was the master
		{"NOAUTH", "it wants a password"},
		{"WRONGPASS", "it does not accept the user or the password"},
		{"AUTH", "it does not accept the user or the password"},
		{"LOADING", "it is still loading its data"},
		{"MASTERDOWN", "its master is down"},
		{"CLUSTERDOWN", "its cluster is down"},
		{"MISCONF", "it takes no writes because it cannot save them"},
		{"WRONGTYPE", "its keys hold something else"},
		{"max number of clients", "it has too many clients"},
	} {
		if redis.HasErrorPrefix(err, known.prefix) {
			return known.cause
		}
	}
	var (
		answer      redis.Error
		lookup      *net.DNSError
		host        x509.HostnameError
		authority   x509.UnknownAuthorityError
		certificate *tls.CertificateVerificationError
		operation   *net.OpError
	)
	switch {
	case errors.Is(err, errLost):
		return "it has lost its data"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &authority):
		return "its certificate is signed by an unknown authority"
	case errors.As(err, &certificate):
		return "its certificate is not valid"
	case errors.As(err, &lookup):
		return "its host name was not found"
	case late(err):
		return "it did not answer in time"
	case errors.As(err, &operation) && operation.Op == "dial":
		return "it does not accept connections"
	case errors.Is(err, io.EOF):
		return "it closed the connection"
	case errors.As(err, &answer):
		return "it answered with an error"
	default:
		return "the connection broke"
	}
}
