// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

const (
	// retryEvery is how often Redis is tried while it is down.
	retryEvery = time.Second
	// dialFactor is how many timeouts a new connection may take.
	dialFactor = 4
)

// errDown is that a step was not done because Redis cannot be used.
var errDown = errors.New("redis is down")

// errDataLost is an outage that only the data has noticed: Redis was emptied, or
// another one has taken over.
var errDataLost = errors.New("redis has lost its data")

// epoch is the time between two outages. Goroutines that wait for Redis leave when
// it ends, which closes ended.
type epoch struct{ ended chan struct{} }

// health is whether Redis can be used.
type health struct {
	epoch atomic.Pointer[epoch] // nil: Redis cannot be used

	mu       sync.Mutex // one change at a time, reported in their order
	outage   bool
	cause    string    // of the outage
	since    time.Time // when the outage was noticed
	closed   bool
	onChange []*func(up bool, cause string) // the latest counts
}

// OnChange sets the call for when Redis goes down, with the cause, and for when it
// is back; nil is none. The call must not wait. It takes the place of the one
// before, which counts again once release is called: it may have been set by a
// configuration that is refused in the end.
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

// notify makes the call of [Fleet.OnChange]. mu is held.
func (h *health) notify(up bool, cause string) {
	if n := len(h.onChange); n > 0 && *h.onChange[n-1] != nil {
		(*h.onChange[n-1])(up, cause)
	}
}

// Up tells whether Redis is in use.
func (f *Fleet) Up() bool { return f.health.epoch.Load() != nil }

// markDown ends an epoch; nil is a failed attempt to begin one. err is the cause.
func (f *Fleet) markDown(ep *epoch, err error) {
	h := &f.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch.Load() != ep || h.closed {
		return // others have noticed before
	}
	if ep != nil {
		h.epoch.Store(nil)
		close(ep.ended)
	}
	why := redisCause(err)
	if h.outage && (why == h.cause || deniedWords(err) == "") {
		return
	}
	if !h.outage {
		f.failures.Add(1)
		h.since = time.Now().UTC()
	}
	h.outage, h.cause = true, why
	h.notify(false, why) // once more if another command is found to be missing
}

// markUp begins an epoch. It returns nil while there are purges that the other
// machines do not know of: until they do, tokens that were purged look good.
func (f *Fleet) markUp() *epoch {
	h := &f.health
	h.mu.Lock()
	defer h.mu.Unlock()
	ep := &epoch{ended: make(chan struct{})}
	f.mu.Lock()
	ready := !h.closed && len(f.purgeOutbox.pending) == 0
	if ready {
		h.epoch.Store(ep)
	}
	f.mu.Unlock()
	if !ready {
		return nil
	}
	if h.outage {
		h.notify(true, "")
	}
	h.outage, h.cause, h.since = false, "", time.Time{}
	return ep
}

func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if ep := h.epoch.Swap(nil); ep != nil {
		close(ep.ended)
	}
}

// current returns the epoch, or nil if Redis cannot be used now. It waits for the
// first attempt, as long as ctx.
func (f *Fleet) current(ctx context.Context) *epoch {
	f.Start()
	select {
	case <-f.firstAttempt:
	case <-ctx.Done():
	}
	return f.health.epoch.Load()
}

// do runs commands in a slot. The error is ctx's, errDown, or that a lock was not
// obtained: whatever else goes wrong ends the epoch. The timeout does not include
// the wait for the slot, or a thousand requests at once would look like a slow
// Redis.
func (f *Fleet) do(ctx context.Context, ep *epoch, commands func(context.Context) error) error {
	if err := f.acquireSlot(ctx, ep); err != nil {
		return err
	}
	defer func() { <-f.commandSlots }()
	err := f.try(ctx, commands)
	if err == nil || errors.Is(err, redislock.ErrNotObtained) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.markDown(ep, err)
	return errDown
}

// acquireSlot waits for a slot, at most for half of the rest of ctx: enough must be
// left for the flight to mint alone. The error is errDown when the epoch has ended,
// also for a waiter who would get a slot at that moment.
func (f *Fleet) acquireSlot(ctx context.Context, ep *epoch) error {
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		half = time.After(time.Until(deadline) / 2)
	}
	select {
	case f.commandSlots <- struct{}{}:
		if f.health.epoch.Load() == ep {
			return nil
		}
		<-f.commandSlots
		return errDown
	case <-ep.ended:
		return errDown
	case <-half:
		return errDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try runs commands, again if they take too long: a busy process finds each answer
// late, and then of all times no machine should mint for itself. Redis counts as
// slow if a command takes too long twice although this process is on time, and no
// other command of it has got an answer meanwhile.
func (f *Fleet) try(ctx context.Context, commands func(context.Context) error) error {
	limit := f.timeout / 2
	for attempt := 1; ; attempt++ {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, limit)
		err := commands(limited)
		cancel()
		if err == nil {
			f.lastAnswer.Store(time.Now().UnixNano())
		}
		if !isRedisTimeout(err) {
			return err
		}
		// The socket may notice ctx's deadline before ctx does.
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(began.Add(limit)) {
			<-ctx.Done()
			return ctx.Err()
		}
		stopped := time.Now()
		runtime.Gosched() // how long is it until this goroutine runs again?
		lag := max(stopped.Sub(began)-limit, time.Since(stopped))
		busy := lag > limit/25 || f.lastAnswer.Load() > began.UnixNano()
		if ctx.Err() != nil || attempt >= 2 && !busy || attempt == 8 {
			return err
		}
	}
}

// isRedisTimeout tells whether an error is that Redis, or a free connection, did not
// come in time.
func isRedisTimeout(err error) bool {
	return errors.Is(err, redis.ErrPoolTimeout) || neterror.IsTimeout(err)
}

// redisCause says why Redis is down, in our own words: the errors hold addresses.
func redisCause(err error) string {
	if d, ok := errors.AsType[*aclDenial](err); ok {
		return d.Error()
	}
	if words := deniedWords(err); words != "" {
		return (&aclDenial{words: []string{words}}).Error()
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
	switch answer := redis.Error(nil); {
	case errors.Is(err, errDataLost):
		return "it has lost its data"
	case isRedisTimeout(err):
		return "it did not answer in time"
	case errors.As(err, &answer):
		return "it answered with an error"
	default:
		return neterror.Cause(err)
	}
}
