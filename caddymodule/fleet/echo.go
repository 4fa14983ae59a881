// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// echoMonitor follows the entries that this machine has written to the stream: one
// that does not come back shows that this machine does not read what the others
// write.
type echoMonitor struct {
	mu           sync.Mutex
	written      string    // the latest entry that was written
	received     string    // the latest that has come back
	waitingSince time.Time // when the first was written that is not back yet
	lastWrite    time.Time // when the latest was written
}

// expectEchoes notes the entries that were just written. A nil is none.
func (s *stream) expectEchoes(added []*redis.StringCmd) {
	o := &s.echoes
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range added {
		if c == nil || !idBefore(o.written, c.Val()) {
			continue
		}
		o.written, o.lastWrite = c.Val(), time.Now()
		if idBefore(o.received, o.written) && o.waitingSince.IsZero() {
			o.waitingSince = o.lastWrite
		}
	}
}

// recordReceived notes that an entry has come back.
func (o *echoMonitor) recordReceived(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if idBefore(o.received, id) {
		o.received = id
	}
	if !idBefore(o.received, o.written) {
		o.waitingSince = time.Time{}
	}
}

// overdue tells whether an entry has not come back within echoTimeout.
func (o *echoMonitor) overdue() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.waitingSince.IsZero() && time.Since(o.waitingSince) > echoTimeout
}

// reset begins anew, for a stream with other data.
func (o *echoMonitor) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written, o.received, o.waitingSince, o.lastWrite = "", "", time.Time{}, time.Time{}
}

// lastWrittenBefore returns the latest entry, if it was written no more than
// rereadWindow before the moment at which all was read.
func (o *echoMonitor) lastWrittenBefore(contact time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if contact.Sub(o.lastWrite) > rereadWindow {
		return ""
	}
	return o.written
}

// idBefore tells whether an entry's ID is before another; "" is before all.
func idBefore(a, b string) bool {
	aTime, aNumber := parseID(a)
	bTime, bNumber := parseID(b)
	return aTime < bTime || aTime == bTime && aNumber < bNumber
}

// parseID returns the parts of an entry's ID: Unix milliseconds and a number.
func parseID(id string) (at, number uint64) {
	first, second, _ := strings.Cut(id, "-")
	at, _ = strconv.ParseUint(first, 10, 64)
	number, _ = strconv.ParseUint(second, 10, 64)
	return at, number
}

// idAt returns the ID of the first entry of a moment.
func idAt(at time.Time) string { return strconv.FormatInt(max(at.UnixMilli(), 0), 10) + "-0" }
