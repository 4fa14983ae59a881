// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// releaseCounter counts releases. A stream counts from when it began, so that a release
// is not lost if the stream is not waiting yet.
type releaseCounter struct {
	mu      sync.Mutex
	count   int
	changed chan struct{}
}

// current returns the count and what is closed when it rises.
func (g *releaseCounter) current() (int, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.count, g.changed
}

func (g *releaseCounter) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	if g.changed != nil {
		close(g.changed)
	}
	g.changed = make(chan struct{})
}

// streamEvents sends the first event at once and each further one after the
// interval, or after [MyDataHelps.Release] if there is no interval.
func (c *call) streamEvents() {
	q := c.URL.Query()
	n, ok1 := pageParam(q.Get("n"), 3)
	interval, ok2 := pageParam(q.Get("interval"), 0)
	if !ok1 || !ok2 {
		c.fail(http.StatusBadRequest, "n and interval are whole numbers")
		return
	}
	began, _ := c.sim.events.current()
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(c.w).Flush
	for i := range n {
		if i > 0 && !c.awaitRelease(began+i, time.Duration(interval)*time.Millisecond) {
			return
		}
		data, _ := json.Marshal(c.withOwner(map[string]any{"event": i + 1}))
		if _, err := fmt.Fprintf(c.w, "id: %s\ndata: %s\n\n", strconv.Itoa(i+1), data); err != nil || flush() != nil {
			return
		}
	}
}

// awaitRelease waits for the next event's time. It returns false if the client left.
func (c *call) awaitRelease(release int, interval time.Duration) bool {
	if interval > 0 {
		t := time.NewTimer(interval)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-c.Context().Done():
			return false
		}
	}
	for {
		count, changed := c.sim.events.current()
		if count >= release {
			return true
		}
		select {
		case <-changed:
		case <-c.Context().Done():
			return false
		}
	}
}
