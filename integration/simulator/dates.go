// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// day is the date of the n-th item, newest first: n days before the day that it
// is by the simulator's clock. Components ask for this month, or the last hours.
func (c *call) day(n int) string {
	return isoDate(c.now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -n))
}

// bounds are the query parameters that bound a date, by the fields of an item
// that hold it; the first one that is there counts.
var bounds = map[string][]string{
	"observed":  {"observationDate", "startDate", "date"},
	"modified":  {"modifiedDate"},
	"inserted":  {"insertedDate"},
	"sent":      {"sentDate"},
	"ends":      {"endDate"},
	"startdate": {"startDate", "startTimestamp", "date"},
	"enddate":   {"endDate", "endTimestamp", "date"},
	"":          {"date"},
}

// bound reads the name of a query parameter: observedAfter, before, startDate
// and the like.
func bound(name string) (fields []string, after, ok bool) {
	name = strings.ToLower(name)
	switch name {
	case "startdate":
		return bounds[name], true, true
	case "enddate":
		return bounds[name], false, true
	}
	what, after := strings.CutSuffix(name, "after")
	if !after {
		if what, ok = strings.CutSuffix(name, "before"); !ok {
			return nil, false, false
		}
	}
	fields, ok = bounds[what]
	return fields, after, ok
}

// within leaves out the items whose dates are out of the bounds that a query
// sets: what is to be after may be at that time, what is to be before may not.
// An item without the date is in. ok is false if a bound is no date.
func within(items []map[string]any, q url.Values) (left []map[string]any, ok bool) {
	for name, values := range q {
		fields, after, isBound := bound(name)
		if !isBound || values[0] == "" {
			continue
		}
		limit, err := parseDate(values[0])
		if err != nil {
			return nil, false
		}
		left = make([]map[string]any, 0, len(items))
		for _, item := range items {
			if at, dated := dateOf(item, fields); !dated || after && !at.Before(limit) || !after && at.Before(limit) {
				left = append(left, item)
			}
		}
		items = left
	}
	return items, true
}

func dateOf(item map[string]any, fields []string) (time.Time, bool) {
	for _, field := range fields {
		if text, ok := item[field].(string); ok {
			at, err := parseDate(text)
			return at, err == nil
		}
	}
	return time.Time{}, false
}

// parseDate reads what SDKs send: a time with its zone, or a day.
func parseDate(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	return at, err
}

// dated answers 400 and false if the query bounds items by something else than
// dates, and otherwise returns those within.
func (c *call) dated(items []map[string]any) ([]map[string]any, bool) {
	left, ok := within(items, c.URL.Query())
	if !ok {
		c.fail(http.StatusBadRequest, "a bound of the query is no date")
	}
	return left, ok
}
