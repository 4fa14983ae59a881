// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

// item is one item of a person's data.
type item map[string]any

// resources are lists by the last segment of their path.
var resources = map[string]func(account string, now time.Time) []item{
	"measurements": weights,
	"measure":      weights,
	"activities":   activities,
	"sleep":        nights,
	"glucose":      glucose,
	"egvs":         glucose, // Dexcom's word
	"exercises":    activities,
}

// Resources returns the last segments of the paths of a vendor's data, sorted.
func Resources() []string { return slices.Sorted(maps.Keys(resources)) }

// vary is a number from 0 to n-1 that is the same for the same words.
func vary(n int, words ...any) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, words...)
	return int(h.Sum32() % uint32(n))
}

// days makes an item for each of the latest 60 days, the latest first.
func days(account string, now time.Time, every int, make func(day time.Time) item) []item {
	var all []item
	for back := 0; back < 60; back += every {
		day := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -back)
		it := make(day)
		it["id"] = fmt.Sprintf("%08x", vary(1<<30, account, day.Unix(), len(it)))
		all = append(all, it)
	}
	return all
}

func weights(account string, now time.Time) []item {
	return days(account, now, 3, func(day time.Time) item {
		grams := 60000 + vary(30000, account, "weight") + vary(900, account, day.Unix())
		return item{"time": day.Add(7 * time.Hour).Format(time.RFC3339), "kind": "weight", "value": float64(grams/100) / 10, "unit": "kg"}
	})
}

func activities(account string, now time.Time) []item {
	return days(account, now, 1, func(day time.Time) item {
		minutes := 20 + vary(60, account, day.Unix())
		kind := []string{"walking", "running", "cycling"}[vary(3, account, day.Unix(), "kind")]
		return item{"time": day.Add(17 * time.Hour).Format(time.RFC3339), "kind": kind, "minutes": minutes, "steps": minutes * 105}
	})
}

func nights(account string, now time.Time) []item {
	return days(account, now, 1, func(day time.Time) item {
		return item{"time": day.Add(-time.Hour).Format(time.RFC3339), "minutes": 330 + vary(180, account, day.Unix(), "sleep")}
	})
}

func glucose(account string, now time.Time) []item {
	return days(account, now, 2, func(day time.Time) item {
		return item{"time": day.Add(8 * time.Hour).Format(time.RFC3339), "kind": "glucose", "value": 75 + vary(55, account, day.Unix()), "unit": "mg/dL"}
	})
}
