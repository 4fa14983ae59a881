// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// echoMonitor are this machine's entries: one that does not come back shows that this
// machine does not read what the others write.
type echoMonitor struct {
	mu           sync.Mutex
	written      string // the latest
	received     string
	waitingSince time.Time // when the first that is not read yet was written
	lastWrite    time.Time // when the latest was
}

// expectEchoes notes what was written.
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

// overdue tells whether what was written does not come back.
func (o *echoMonitor) overdue() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.waitingSince.IsZero() && time.Since(o.waitingSince) > echoTimeout
}

// reset is for other data.
func (o *echoMonitor) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written, o.received, o.waitingSince, o.lastWrite = "", "", time.Time{}, time.Time{}
}

// lastWrittenBefore is the latest entry if it was written about as late as a moment.
func (o *echoMonitor) lastWrittenBefore(contact time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if contact.Sub(o.lastWrite) > rereadWindow {
		return ""
	}
	return o.written
}

// idBefore compares the IDs of entries; "" is before all.
func idBefore(a, b string) bool {
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
