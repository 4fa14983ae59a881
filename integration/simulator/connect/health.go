// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Source is an integration source that the widget offers.
type Source struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// sources are the same for everybody.
var sources = []Source{
	{"steady_scale", "Steady Scale", "scale"},
	{"pulse_band", "Pulse Band", "activity tracker"},
	{"city_lab", "City Lab", "laboratory"},
	{"corner_pharmacy", "Corner Pharmacy", "pharmacy"},
}

// item is one item of a person's data.
type item map[string]any

// resource is a list of the API. It is empty unless its source is connected.
type resource struct {
	source string
	items  func(a Account, now time.Time) []item
}

// resources are by the last segment of their path.
var resources = map[string]resource{
	"weight":        {"steady_scale", weights},
	"activities":    {"pulse_band", activities},
	"blood_glucose": {"city_lab", glucose},
	"medications":   {"corner_pharmacy", medications},
}

// vary is a number from 0 to n-1 that is the same for the same words.
func vary(n int, words ...any) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, words...)
	return int(h.Sum32() % uint32(n))
}

// profile is who a person is.
func profile(a Account) item {
	return item{
		"name":        a.label(),
		"dateOfBirth": fmt.Sprintf("%d-%02d-%02d", 1950+vary(50, a.UserCode, "year"), 1+vary(12, a.UserCode, "month"), 1+vary(28, a.UserCode, "day")),
		"heightCm":    155 + vary(40, a.UserCode, "height"),
	}
}

// days makes an item for each of the latest days, the latest first.
func days(a Account, now time.Time, every int, make func(day time.Time) item) []item {
	const span = 60
	var all []item
	for back := 0; back < span; back += every {
		day := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -back)
		it := make(day)
		it["id"] = fmt.Sprintf("%08x", vary(1<<30, a.UserCode, day.Unix(), len(it)))
		all = append(all, it)
	}
	return all
}

func weights(a Account, now time.Time) []item {
	return days(a, now, 3, func(day time.Time) item {
		grams := 60000 + vary(30000, a.UserCode, "weight") + vary(900, a.UserCode, day.Unix())
		return item{"timestamp": day.Add(7 * time.Hour).Format(time.RFC3339), "value": float64(grams/100) / 10, "unit": "kg"}
	})
}

func activities(a Account, now time.Time) []item {
	return days(a, now, 1, func(day time.Time) item {
		kind := []string{"walking", "running", "cycling"}[vary(3, a.UserCode, day.Unix(), "kind")]
		minutes := 20 + vary(60, a.UserCode, day.Unix())
		return item{
			"type": kind, "startTime": day.Add(17 * time.Hour).Format(time.RFC3339),
			"duration": minutes * 60, "steps": minutes * 105, "calories": minutes * 6,
		}
	})
}

func glucose(a Account, now time.Time) []item {
	return days(a, now, 2, func(day time.Time) item {
		return item{"timestamp": day.Add(8 * time.Hour).Format(time.RFC3339), "value": 75 + vary(55, a.UserCode, day.Unix()), "unit": "mg/dL", "mealTag": "fasting"}
	})
}

func medications(a Account, now time.Time) []item {
	names := []string{"Metformin", "Lisinopril", "Atorvastatin", "Levothyroxine", "Salbutamol"}
	all := make([]item, 1+vary(3, a.UserCode, "medications"))
	for i := range all {
		which := (vary(len(names), a.UserCode) + i) % len(names)
		all[i] = item{
			"id": fmt.Sprintf("%08x", vary(1<<30, a.UserCode, which)), "productName": names[which], "status": "active",
			"startDate": now.UTC().AddDate(0, -3*(i+1), 0).Format(time.DateOnly), "instructions": "once a day",
		}
	}
	return all
}

// connectedSources are those of a connection.
func connectedSources(n connection) []Source {
	all := []Source{}
	for _, s := range sources {
		if n.sources[s.ID] {
			all = append(all, s)
		}
	}
	return all
}
