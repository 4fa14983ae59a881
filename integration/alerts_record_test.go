// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	alertsFile = "../caddymodule/docs/monitoring/alerts.yml"

	// The times of a recording, in steps of 15 s: a minute of health, and the two
	// minutes within which a fault has to raise its alert.
	scrapeSeconds = 15
	healthySteps  = 4
	allSteps      = healthySteps + 8
)

// recording is the module's metrics of a run, as Prometheus would have scraped them.
type recording struct {
	t      *testing.T
	admin  *admin
	steps  int
	series map[string][]string // by name and labels; a value or _ for each step
}

// record runs a healthy minute and two with a fault. drive is what users do between
// two scrapes.
func record(t *testing.T, s *stack.Stack, drive, fault func()) *recording {
	t.Helper()
	r := &recording{t: t, admin: newAdmin(t, s), series: make(map[string][]string)}
	for step := range allSteps {
		if step == healthySteps {
			fault()
		}
		drive()
		r.scrape()
	}
	return r
}

func (r *recording) scrape() {
	r.t.Helper()
	got := r.admin.send(http.MethodGet, "/metrics", "")
	for name, value := range scrape(r.t, got.body) {
		name = "caddy_delegate_" + name
		for len(r.series[name]) < r.steps {
			r.series[name] = append(r.series[name], "_")
		}
		r.series[name] = append(r.series[name], fmt.Sprint(value))
	}
	r.steps++
	for name, values := range r.series {
		if len(values) < r.steps {
			r.series[name] = append(values, "_")
		}
	}
}

// ruleTest is a test of promtool: which alerts fire at the end of a recording, and
// that none does before the fault.
func (r *recording) ruleTest(want ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - interval: %ds\n    input_series:\n", scrapeSeconds)
	for _, name := range slices.Sorted(maps.Keys(r.series)) {
		labelled, plain := strings.CutSuffix(name, "}")
		if labelled += `,`; !plain {
			labelled = name + `{`
		}
		labelled = strings.Replace(labelled, `provider="",`, "", 1) // to Prometheus an empty label is none
		fmt.Fprintf(&b, "      - series: '%sjob=\"caddy\",instance=\"here\"}'\n        values: '%s'\n", labelled, strings.Join(r.series[name], " "))
	}
	return b.String() + expectations(want...)
}

// expectations wants no alert before the fault, and the named ones at the end.
func expectations(want ...string) string {
	var b strings.Builder
	const firing = "      - expr: 'count by (alertname) (ALERTS{alertstate=\"firing\"})'\n        eval_time: %ds\n        exp_samples:"
	fmt.Fprintf(&b, "    promql_expr_test:\n"+firing+" []\n"+firing, scrapeSeconds*(healthySteps-1), scrapeSeconds*(allSteps-1))
	if len(want) == 0 {
		b.WriteString(" []")
	}
	b.WriteString("\n")
	for _, alert := range want {
		fmt.Fprintf(&b, "          - labels: '{alertname=\"%s\"}'\n            value: 1\n", alert)
	}
	return b.String()
}

// promtool runs promtool in a folder with the rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: apt-get install prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// testRules runs tests of promtool against the rules.
func testRules(t *testing.T, tests string) {
	t.Helper()
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: %ds\ntests:\n%s", rules, scrapeSeconds, tests)
	promtool(t, "test", "rules", write(t, filepath.Join(t.TempDir(), "test.yml"), text))
}
