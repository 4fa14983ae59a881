// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// quotas counts requests in windows of an hour, each from its first request:
// one for the project (the key ""), one per participant.
type quotas struct {
	mu      sync.Mutex
	windows map[string]quotaWindow
}

type quotaWindow struct {
	ends time.Time
	used int
}

// use takes n requests (0 only looks) and returns what was used before and when the window ends.
func (q *quotas) use(key string, n int, now time.Time) (used int, ends time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.windows == nil {
		q.windows = make(map[string]quotaWindow)
	}
	w := q.windows[key]
	if !now.Before(w.ends) {
		w = quotaWindow{ends: now.Add(time.Hour)}
	}
	used = w.used
	w.used += n
	q.windows[key] = w
	return used, w.ends
}

// spend counts the call against a quota and sets the RateLimit headers. If
// nothing is left it answers 429 and returns false.
func (c *call) spend(key string, limit int) bool {
	return c.meter(key, limit, 1)
}

// meter with n = 0 sets the headers without counting.
func (c *call) meter(key string, limit, n int) bool {
	if limit <= 0 {
		return true
	}
	used, ends := c.sim.quotas.use(key, n, c.now)
	h := c.w.Header()
	h.Set("Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("Ratelimit-Remaining", strconv.Itoa(max(0, limit-used-n)))
	h.Set("Ratelimit-Reset", strconv.Itoa(int((ends.Sub(c.now)+time.Second-1)/time.Second)))
	if n == 0 || used < limit {
		return true
	}
	c.fail(http.StatusTooManyRequests, "the hourly limit of requests is reached")
	return false
}
