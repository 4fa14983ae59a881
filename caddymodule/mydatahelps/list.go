// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
)

// errNoList is the error for a list of which not all can be read without what
// is reserved for single lookups.
var errNoList = errors.New("the participant list takes more than is left of the hourly limit of administrative requests")

// whole begins to read the list only if what is left of the quota is enough for
// all of it: a part of it answers for nobody.
func (d *directory) whole(read page) page {
	return func(ctx context.Context, number int) ([]participant, *int, error) {
		d.mu.Lock()
		left := max(d.pages-number, 1)
		d.mu.Unlock()
		if !d.quota.affords(left) {
			return nil, nil, errNoList
		}
		people, total, err := read(ctx, number)
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case errors.Is(err, errNoList): // the platform does not tell how long it is
			d.pages = number + d.quota.half()
		case err == nil && total != nil && number == 0 && len(people) > 0:
			d.pages = (*total-1)/len(people) + 1
		}
		return people, total, err
	}
}
