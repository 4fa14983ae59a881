// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var testSources = []Source{
	{Name: "lab", Scopes: []string{"write", "read"}, Covers: slices.Contains[[]string]},
	{Name: "st_mary", Scopes: []string{"patient/*.rs"}, Covers: func(granted []string, needed string) bool {
		return slices.Contains(granted, needed) || strings.HasPrefix(needed, "patient/") && strings.HasSuffix(needed, ".rs")
	}},
	{Name: "garmin", Covers: slices.Contains[[]string]},
	{Name: "old_lab", NoScopes: true, Covers: slices.Contains[[]string]},
}

// TestPolicyOfSources protects each source's data: its lines ask for no more than
// the source's scopes, by its own rule, and go to it alone.
func TestPolicyOfSources(t *testing.T) {
	table, err := NewOfSources(parseRoutes(t,
		"GET /lab/**", "POST /lab/results write", "GET /st_mary/Observation patient/Observation.rs",
		"GET /garmin/*/days", "GET /garmin/any whatever", "GET /old_lab/x"), testSources)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"GET /lab/x/y": "[read write]", "POST /lab/results": "[write]", "GET /st_mary/Observation": "[patient/Observation.rs]",
		"GET /garmin/a/days": "[]", "GET /garmin/any": "[whatever]", "GET /old_lab/x": "[]",
		"GET /lab": "route_denied", "GET /": "route_denied", "GET /st_mary/Patient": "route_denied", "GET /labs/x": "route_denied",
	} {
		method, path, _ := strings.Cut(path, " ")
		match, err := table.Match(method, path, false)
		got := fmt.Sprint(match.Scopes)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s %s: %s, want %s", method, path, got, want)
		}
	}
}

// TestPolicyOfSourcesRefuses protects operators from a line that opens more than it
// seems to, or nothing.
func TestPolicyOfSourcesRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"GET /**":                         "one of lab, st_mary, garmin, old_lab",
		"GET /*/measure":                  "one of lab, st_mary, garmin, old_lab",
		"GET /oura/x":                     "one of lab, st_mary, garmin, old_lab",
		"GET /Lab/x":                      "one of lab, st_mary, garmin, old_lab",
		"GET /":                           "one of lab, st_mary, garmin, old_lab",
		"GET /lab":                        "write /lab/**",
		"!GET /lab/x":                     "no public routes",
		"GET /lab/x delete":               "scope delete is not among those of source lab",
		"GET /st_mary/x user/Patient.rs":  "not among those of source st_mary",
		"GET /old_lab/x read":             "source old_lab has no scopes, so nobody's consent covers read: remove it",
		"GET /lab/x read read":            "listed twice",
		"GET /lab/../st_mary/Observation": "/st_mary/Observation",
	} {
		words, public := strings.CutPrefix(line, "!")
		routes := parseRoutes(t, "GET /lab/first")
		route, err := ParseRoute(strings.Fields(words))
		if err == nil {
			route.Public = public
			_, err = NewOfSources(append(routes, route), testSources)
			if err != nil && !strings.HasPrefix(err.Error(), "line 2 ("+words[:3]) {
				t.Errorf("%s: the error does not name the line: %v", line, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", line, err, want)
		}
	}
}
