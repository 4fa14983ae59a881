// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many requests the load has under way at once.
const connections = 32

// sample is one request and how it was answered.
type sample struct {
	at     time.Duration // since the load began
	took   time.Duration
	user   int // index
	status int // 0: no answer
	missed bool
}

func (s *sample) failed() bool { return s.status != http.StatusOK }

// load sends requests of some users over connections that stay open from one
// run to the next.
type load struct {
	addr    string
	users   []string
	clients []*client
}

func newLoad(addr string, users []string) *load {
	return newLoadBy(addr, sessionHeader+": ", users)
}

// newLoadBy is newLoad with another header line that names the user.
func newLoadBy(addr, line string, users []string) *load {
	l := &load{addr: addr, users: users, clients: make([]*client, connections)}
	for i := range l.clients {
		l.clients[i] = newClient(addr, line)
	}
	return l
}

func (l *load) close() {
	for _, c := range l.clients {
		c.close()
	}
}

// full sends requests for a time, each connection the next one as soon as the
// last is answered.
func (l *load) full(ctx context.Context, d time.Duration) []sample {
	return l.drive(func(_, _ int, now time.Duration) (user int, due time.Duration, ok bool) {
		return rand.IntN(len(l.users)), now, now < d && ctx.Err() == nil
	})
}

// steady sends so many requests a second for a time, one user after the other.
// A request that had to wait because the connection's last one was late counts
// from when it was due: otherwise a server that stops for a second would look
// as if one request a connection had been slow.
func (l *load) steady(ctx context.Context, rate float64, d time.Duration) []sample {
	return l.drive(func(connection, i int, _ time.Duration) (user int, due time.Duration, ok bool) {
		n := i*len(l.clients) + connection
		due = time.Duration(float64(n) / rate * float64(time.Second))
		return n % len(l.users), due, due < d && ctx.Err() == nil
	})
}

// each sends one request of each user.
func (l *load) each(ctx context.Context) []sample {
	var next atomic.Int64
	return l.drive(func(_, _ int, now time.Duration) (user int, due time.Duration, ok bool) {
		user = int(next.Add(1)) - 1
		return user, now, user < len(l.users) && ctx.Err() == nil
	})
}

// drive asks plan what each connection's i-th request is, and sends it when it
// is due.
func (l *load) drive(plan func(connection, i int, now time.Duration) (user int, due time.Duration, ok bool)) []sample {
	all := make([][]sample, len(l.clients))
	begin := time.Now()
	var wg sync.WaitGroup
	for connection, c := range l.clients {
		wg.Go(func() {
			var samples []sample
			for i := 0; ; i++ {
				user, from, ok := plan(connection, i, time.Since(begin))
				if !ok {
					break
				}
				if wait := from - time.Since(begin); wait > 0 {
					time.Sleep(wait)
					from = time.Since(begin) // the sleep's own lateness is not the server's
				}
				s := sample{at: from, user: user}
				s.status, s.missed = c.get(l.users[user])
				s.took = time.Since(begin) - from
				samples = append(samples, s)
			}
			all[connection] = samples
		})
	}
	wg.Wait()
	return flatten(all)
}

func flatten(all [][]sample) []sample {
	n := 0
	for _, samples := range all {
		n += len(samples)
	}
	flat := make([]sample, 0, n)
	for _, samples := range all {
		flat = append(flat, samples...)
	}
	return flat
}

// count counts the samples for which f is true.
func count(samples []sample, f func(*sample) bool) int {
	n := 0
	for i := range samples {
		if f(&samples[i]) {
			n++
		}
	}
	return n
}

// times returns how long the requests took for which f is true.
func times(samples []sample, f func(*sample) bool) []float64 {
	var took []float64
	for i := range samples {
		if f(&samples[i]) {
			took = append(took, samples[i].took.Seconds())
		}
	}
	return took
}

func every(*sample) bool { return true }
