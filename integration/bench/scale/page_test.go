// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const page = "../../../caddymodule/docs/scale.md"

// measured are the figures of the page.
var measured = Cost{Call: 132e-6, First: 672e-6, Token: 1777, Redis: 12, Idle: 4, Slots: 16, Mint: 0.05}

// app is how people use the app in the page's table.
func app(people int) Use {
	return Use{People: people, Visits: 2, Stay: 10 * time.Minute, Calls: 20, Swing: 0.8, Life: time.Hour}
}

// rounded has two digits that count.
func rounded(v float64, unit string) string {
	scale, name := 1.0, ""
	for _, big := range []struct {
		from float64
		name string
	}{{1e3, "k"}, {1e6, "M"}, {1e9, "G"}} {
		if v >= big.from {
			scale, name = big.from, big.name
		}
	}
	digits, _ := strconv.ParseFloat(strconv.FormatFloat(v/scale, 'g', 2, 64), 64)
	return strings.TrimSpace(strconv.FormatFloat(digits, 'f', -1, 64) + " " + name + unit)
}

// row is a line of the page's table.
func row(people int) string {
	l := Predict(app(people))
	f := Needs(l, measured)
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %s | %s | %s |", rounded(float64(people), ""),
		rounded(l.PeakCalls, ""), rounded(l.PeakMints, ""), rounded(f.Cores, ""), f.Machines, rounded(f.Memory, "B"), rounded(f.Redis, ""), rounded(f.Slots, ""))
}

// TestPage protects who plans by the page: its table is what the model says.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, people := range []int{10_000, 100_000, 1_000_000, 10_000_000, 100_000_000} {
		if want := row(people); !strings.Contains(string(text), want+"\n") {
			t.Errorf("the page lacks the line\n%s", want)
		}
	}
}
