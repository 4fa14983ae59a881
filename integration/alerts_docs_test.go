// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	alertsPage    = "caddymodule/docs/alerts.md"
	dashboardFile = "../caddymodule/docs/monitoring/grafana.json"
)

// dashboard is what is read here of one of Grafana's.
type dashboard struct {
	UID    string
	Panels []struct {
		ID                       int
		Type, Title, Description string
		Targets                  []struct{ Expr, LegendFormat string }
		GridPos                  struct{ H, W, X, Y int }
		Datasource               struct{ UID string }
	}
	Templating struct{ List []struct{ Name string } }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Panels) < 10 {
		t.Fatalf("%v: %d panels", err, len(d.Panels))
	}
	return d
}

func readAlerts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// seriesNames finds the metrics of the module in an expression, with what is in the
// braces behind them.
var seriesNames = regexp.MustCompile(`caddy_delegate_(\w+)(?:\{([^}]*)\})?`)

// checkSeries wants the metrics of an expression, and the labels by which it selects,
// to be in the table of the operations page, which another test compares with the
// registry.
func checkSeries(t *testing.T, where, expr string) (found int) {
	t.Helper()
	table := rows(documents(t)[operationsPage], "## Metrics")
	for _, match := range seriesNames.FindAllStringSubmatch(expr, -1) {
		found++
		row, ok := table[strings.TrimSuffix(match[1], "_bucket")]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, match[1])
			continue
		}
		labels := append(strings.Split(strings.ReplaceAll(row[0], " ", ""), ","), "job", "instance", "le")
		for _, label := range regexp.MustCompile(`(\w+)\s*[=!]~?"`).FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(labels, label[1]) {
				t.Errorf("%s: %s has no label %s", where, match[1], label[1])
			}
		}
	}
	return found
}

// TestAlertRules protects who copies the rules: Prometheus loads them, their metrics
// are there, and each has its paragraph in the page, which has no others.
func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", alertsFile)
	text, page := readAlerts(t), page(t, alertsPage)
	if n := checkSeries(t, "alerts.yml", text); n < 20 {
		t.Errorf("%d metrics were found", n)
	}
	rules := regexp.MustCompile(`(?m)^      - alert: (\w+)$`).FindAllStringSubmatch(text, -1)
	headings := regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(page, -1)
	if len(rules) < 10 || len(rules) != len(headings) {
		t.Errorf("%d rules, and %d paragraphs", len(rules), len(headings))
	}
	for _, rule := range rules {
		_, paragraph, ok := strings.Cut(page, "\n## "+rule[1]+"\n")
		paragraph, _, _ = strings.Cut(paragraph, "\n## ")
		if !ok || !strings.Contains(text, `runbook: "`+alertsPage+"#"+strings.ToLower(rule[1])+`"`) {
			t.Errorf("%s has no paragraph, or does not name it", rule[1])
		}
		contains(t, paragraph, "**Means**: ", "**Users notice**: ", "**Look at**: ", "**Do**: ")
	}
}

// TestDashboard protects who imports the dashboard: its metrics, labels and variables
// are there, Prometheus reads its expressions, no two panels cover each other, and
// every metric of the module is shown.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	variables := []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	var all, rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("panel %d, %q, is not complete", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, taken := cells[at]; taken || at[0] >= 24 {
					t.Errorf("%q covers %q, or is too wide", p.Title, other)
				}
				cells[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			if checkSeries(t, p.Title, target.Expr) == 0 {
				t.Errorf("%s: %s is of none of the metrics", p.Title, target.Expr)
			}
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(variables, v[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, v[1])
				}
			}
			all.WriteString(target.Expr + "\n")
			fmt.Fprintf(&rules, "      - record: panel_%d\n        expr: %q\n        labels: {expr: \"%d\"}\n", p.ID, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"), all.Len())
		}
	}
	promtool(t, "check", "rules", write(t, filepath.Join(t.TempDir(), "dashboard.yml"), rules.String()))
	for name := range rows(documents(t)[operationsPage], "## Metrics") {
		if !regexp.MustCompile(`caddy_delegate_` + name + `\b|caddy_delegate_` + name + `_bucket\b`).MatchString(all.String()) {
			t.Errorf("no panel shows %s", name)
		}
	}
}
