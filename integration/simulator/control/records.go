// SPDX-License-Identifier: Apache-2.0

package control

import "sync"

// MaxRecords bounds the memory that records take.
const MaxRecords = 10000

// Records keeps the latest records of type R in a ring, and counts of type C.
// The zero value is ready.
type Records[R, C any] struct {
	mu     sync.Mutex
	ring   []*R
	last   int64 // sequence number of the latest record
	first  int64 // sequence number before the first one since the last reset
	counts C
}

// Add keeps a record. note is told its sequence number, and may change the
// counts.
func (c *Records[R, C]) Add(r *R, note func(sequence int64, counts *C)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	note(c.last, &c.counts)
	if len(c.ring) < MaxRecords {
		c.ring = append(c.ring, r)
	} else {
		c.ring[(c.last-1)%MaxRecords] = r
	}
}

// Update changes counts, or a record that After may be copying at the same time.
func (c *Records[R, C]) Update(change func(*C)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

// Counts returns the counts.
func (c *Records[R, C]) Counts() C {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// After returns copies of the records with a higher sequence number. What they
// lead to is shared: it is replaced, never changed.
func (c *Records[R, C]) After(sequence int64) []R {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := max(sequence, c.first, c.last-int64(len(c.ring)))
	records := make([]R, 0, max(0, c.last-from))
	for n := from + 1; n <= c.last; n++ {
		records = append(records, *c.ring[(n-1)%MaxRecords])
	}
	return records
}

// Reset forgets the records, and begins to count anew from what next makes of
// the counts.
func (c *Records[R, C]) Reset(next func(C) C) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = c.last
	c.counts = next(c.counts)
}
