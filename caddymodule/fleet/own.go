// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// own are this machine's entries: one that does not come back shows that this
// machine does not read what the others write.
type own struct {
	mu      sync.Mutex
	written string // the latest
	read    string
	since   time.Time // when the first that is not read yet was written
	at      time.Time // when the latest was
}

// expect notes what was written.
func (s *stream) expect(added []*redis.StringCmd) {
	o := &s.own
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range added {
		if c == nil || !before(o.written, c.Val()) {
			continue
		}
		o.written, o.at = c.Val(), time.Now()
		if before(o.read, o.written) && o.since.IsZero() {
			o.since = o.at
		}
	}
}

func (o *own) saw(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if before(o.read, id) {
		o.read = id
	}
	if !before(o.read, o.written) {
		o.since = time.Time{}
	}
}

// missed tells whether what was written does not come back.
func (o *own) missed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero() && time.Since(o.since) > ownWithin
}

// forget is for other data.
func (o *own) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written, o.read, o.since, o.at = "", "", time.Time{}, time.Time{}
}

// latest is the latest entry if it was written about as late as a moment.
func (o *own) latest(contact time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if contact.Sub(o.at) > stepBack {
		return ""
	}
	return o.written
}

// before compares the IDs of entries; "" is before all.
func before(a, b string) bool {
	aTime, aNumber := parseID(a)
	bTime, bNumber := parseID(b)
	return aTime < bTime || aTime == bTime && aNumber < bNumber
}

func parseID(id string) (at, number uint64) {
	first, second, _ := strings.Cut(id, "-")
	at, _ = strconv.ParseUint(first, 10, 64)
	number, _ = strconv.ParseUint(second, 10, 64)
	return at, number
}

func idAt(at time.Time) string { return strconv.FormatInt(max(at.UnixMilli(), 0), 10) + "-0" }
