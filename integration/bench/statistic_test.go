// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"testing"
)

// TestQuantile protects every figure of the table: known quantiles of known
// values, whatever their order.
func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.5, 3}, {1, 5}, {0.25, 2}, {0.9, 4.6}} {
		if got := quantile(values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", c.q, got, c.want)
		}
	}
	if !slices.Equal(values, []float64{5, 1, 4, 2, 3}) {
		t.Errorf("the values were changed: %v", values)
	}
	if median([]float64{1, 2}) != 1.5 || quantile(nil, 0.5) != 0 {
		t.Error("the median of two or of none is wrong")
	}
}

// TestSpread protects the interval: it holds the median, lies within the
// values, gets narrower with more of them and is the same for the same ones.
func TestSpread(t *testing.T) {
	few := []float64{0.9, 1, 1.1, 0.95, 1.05, 0.97, 1.2}
	s := spreadOf(few)
	if s.median != 1 || s.min != 0.9 || s.max != 1.2 {
		t.Errorf("%+v", s)
	}
	if !(s.min <= s.low && s.low < s.median && s.median < s.high && s.high <= s.max) {
		t.Errorf("the interval is off: %+v", s)
	}
	if again := spreadOf(few); again != s {
		t.Errorf("%+v, then %+v", s, again)
	}
	many := spreadOf(slices.Repeat(few, 20))
	if many.high-many.low >= s.high-s.low {
		t.Errorf("%+v is no narrower than %+v", many, s)
	}
	if (spreadOf(nil) != spread{}) {
		t.Error("the spread of nothing is something")
	}
}

// TestPairs protects against comparing one pair's figure with another's.
func TestPairs(t *testing.T) {
	if got := ratios([]float64{2, 9}, []float64{1, 3}); !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("%v", got)
	}
	if got := differences([]float64{2, 9}, []float64{1, 3}); !slices.Equal(got, []float64{1, 6}) {
		t.Errorf("%v", got)
	}
}
