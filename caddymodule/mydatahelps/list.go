// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
)

// errListTooLong is the error for a list of which not all can be read without what
// is reserved for single lookups.
var errListTooLong = errors.New("the participant list takes more than is left of the hourly limit of administrative requests")

// onlyWhole begins to read the list only if what is left of the quota is enough for
// all of it: a part of it answers for nobody.
func (d *participantCache) onlyWhole(read pageReader) pageReader {
	return func(ctx context.Context, number int) ([]participant, *int, error) {
		d.mu.Lock()
		left := max(d.listPages-number, 1)
		d.mu.Unlock()
		if !d.quota.canAfford(left) {
			return nil, nil, errListTooLong
		}
		people, total, err := read(ctx, number)
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case errors.Is(err, errListTooLong): // the platform does not tell how long it is
			d.listPages = number + d.quota.halfLimit()
		case err == nil && total != nil && number == 0 && len(people) > 0:
			d.listPages = (*total-1)/len(people) + 1
		}
		return people, total, err
	}
}
