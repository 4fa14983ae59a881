// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"container/heap"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

// tick is how exactly the agenda keeps its appointments. What is due in one
// begins at once: with a grain of 100 ms the renewals of ten thousand people
// came in bursts for which requests had to wait.
const tick = 10 * time.Millisecond

// renewalSchedule visits tokens when they are due. Appointments of the same moment
// share one timer: a million tokens do not need a million of them.
type renewalSchedule struct {
	onDue func(memory.Ref)
	limit int

	mu     sync.Mutex
	count  int
	due    map[int64][]memory.Ref // by moment, in grains since 1970
	queue  moments
	timer  *time.Timer
	closed bool
}

func newRenewalSchedule(limit int, visit func(memory.Ref)) *renewalSchedule {
	return &renewalSchedule{onDue: visit, limit: limit, due: make(map[int64][]memory.Ref)}
}

// add makes an appointment, which is kept at the time or up to a grain later,
// whether the token is still there or not. A full agenda makes none: the token
// is then renewed by a use that comes in time.
func (a *renewalSchedule) add(at time.Time, what memory.Ref) {
	moment := at.UnixNano()/int64(tick) + 1
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.count >= a.limit {
		return
	}
	a.count++
	if _, ok := a.due[moment]; !ok {
		heap.Push(&a.queue, moment)
		if a.queue[0] == moment {
			a.setTimer()
		}
	}
	a.due[moment] = append(a.due[moment], what)
}

// setTimer sets the timer to the first moment.
func (a *renewalSchedule) setTimer() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer = background.After(time.Until(time.Unix(0, a.queue[0]*int64(tick))), "renewing ahead", a.runDue)
}

// runDue visits what is due and winds the timer again.
func (a *renewalSchedule) runDue() {
	a.mu.Lock()
	var now []memory.Ref
	for len(a.queue) > 0 && a.queue[0] <= time.Now().UnixNano()/int64(tick) {
		moment := heap.Pop(&a.queue).(int64)
		now = append(now, a.due[moment]...)
		delete(a.due, moment)
	}
	a.count -= len(now)
	a.mu.Unlock()
	for _, what := range now {
		// One after another: who follows must not be left out.
		_ = background.Do("renewing ahead", func() error { a.onDue(what); return nil })
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) > 0 {
		a.setTimer()
	}
}

// setLimit sets another limit.
func (a *renewalSchedule) setLimit(limit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limit = limit
}

// close forgets all appointments.
func (a *renewalSchedule) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	clear(a.due)
	a.queue = nil
	if a.timer != nil {
		a.timer.Stop()
	}
}

// moments is a heap, earliest first.
type moments []int64

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i] < m[j] }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(int64)) }

// Pop implements [heap.Interface].
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
