// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"slices"
)

// quantile returns the value below which the part q of the values lies, 0 if
// there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// spread is a median with what is known of its exactness.
type spread struct {
	median    float64
	low, high float64 // interval of the median at 95 %, by bootstrap
	min, max  float64
}

// resamples of a bootstrap.
const resamples = 10_000

// spreadOf computes the spread of values. The same values have the same one.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	random := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, resamples)
	again := make([]float64, len(values))
	for i := range medians {
		for j := range again {
			again[j] = values[random.IntN(len(values))]
		}
		medians[i] = median(again)
	}
	return spread{
		median: median(values),
		low:    quantile(medians, 0.025), high: quantile(medians, 0.975),
		min: slices.Min(values), max: slices.Max(values),
	}
}

// ratios divides pair by pair.
func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

// differences subtracts pair by pair.
func differences(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}
