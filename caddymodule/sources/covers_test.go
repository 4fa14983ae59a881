// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestCovers protects the rule that decides whether a data call may be made with what
// a person has granted: each row is granted scopes, a needed one, and whether each of
// the two rules has it covered.
func TestCovers(t *testing.T) {
	for _, row := range []struct {
		granted, needed string
		equal, smart    bool
	}{
		{"user.metrics user.activity", "user.metrics", true, true},
		{"user.metrics", "user.activity", false, false},
		{"", "user.metrics", false, false},
		{"user.metrics", "User.metrics", false, false},
		{"user", "user.metrics", false, false},

		// Wider: any type, more interactions.
		{"patient/*.rs", "patient/Observation.rs", false, true},
		{"patient/*.rs", "patient/Observation.r", false, true},
		{"patient/Observation.cruds", "patient/Observation.rs", false, true},
		{"patient/Observation.rs", "patient/*.rs", false, false},
		{"patient/Observation.rs patient/Condition.rs", "patient/*.rs", false, false},
		{"patient/Observation.r", "patient/Observation.rs", false, false},
		{"patient/Observation.rs", "patient/Condition.rs", false, false},
		{"patient/Observation.rs", "patient/observation.rs", false, false},
		{"patient/Obs.rs", "patient/Observation.rs", false, false},
		{"patient/*.rs", "patient/*.cruds", false, false},

		// Split otherwise.
		{"patient/Observation.r patient/Observation.s", "patient/Observation.rs", false, true},
		{"patient/*.r patient/Observation.s", "patient/Observation.rs", false, true},
		{"patient/Observation.r patient/Condition.s", "patient/Observation.rs", false, false},

		// Another context is other data, not more of the same.
		{"user/*.cruds", "patient/Observation.rs", false, false},
		{"system/*.cruds", "patient/Observation.rs", false, false},
		{"patient/*.cruds", "user/Observation.rs", false, false},

		// SMART App Launch 1.
		{"patient/*.read", "patient/Observation.rs", false, true},
		{"patient/Observation.rs", "patient/Observation.read", false, true},
		{"patient/Observation.read", "patient/Observation.cud", false, false},
		{"patient/Observation.write", "patient/Observation.cu", false, true},
		{"patient/Observation.write", "patient/Observation.rs", false, false},
		{"patient/*.*", "patient/Observation.cruds", false, true},
		{"patient/Observation.cruds", "patient/Observation.*", false, true},
		{"patient/Observation.rs", "patient/Observation.*", false, false},
		{"patient/Observation.read?category=laboratory", "patient/Observation.rs?category=laboratory", false, false},

		// Filters narrow.
		{"patient/Observation.rs", "patient/Observation.rs?category=laboratory", false, true},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.rs", false, false},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.r?category=laboratory", false, true},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=vital-signs", false, false},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.rs?status=final&category=laboratory", false, true},
		{"patient/Observation.rs?status=final&category=laboratory", "patient/Observation.rs?category=laboratory", false, false},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", "patient/Observation.rs", false, false},

		// No resource is behind these: servers leave them out of the reply.
		{"patient/*.rs", "launch/patient", false, true},
		{"patient/*.rs", "offline_access", false, true},
		{"", "openid", false, true},
		{"", "fhirUser", false, true},
		{"", "launchpad", false, false},
		{"", "offline_acess", false, false},

		// What cannot be read covers, and is covered by, its own text only.
		{"patient/*.sr", "patient/Observation.rs", false, false},
		{"patient/*.rs", "patient/Observation.sr", false, false},
		{"patient/*.cruds", "patient/Observation.rr", false, false},
		{"patient/*.cruds", "patient/Observation.", false, false},
		{"patient/*.cruds", "patient/Observation", false, false},
		{"patient/*.cruds", "patient/.rs", false, false},
		{"patient/*.cruds", "patient/Observation.rs?", false, false},
		{"patient/*.cruds", "patient/Observation.rs?category", false, false},
		{"patient/*.cruds", "patient/Obs*.rs", false, false},
		{"patient/*.cruds", "patient/../Observation.rs", false, false},
		{"*/*.cruds", "patient/Observation.rs", false, false},
		{"patient/*.RS", "patient/Observation.rs", false, false},
		{"patient/Observation.sr", "patient/Observation.sr", true, true},
	} {
		granted := strings.Fields(row.granted)
		if got := CoversEqual.Covered(granted, row.needed); got != row.equal {
			t.Errorf("%s: %q covers %q: %t", CoversEqual, row.granted, row.needed, got)
		}
		if got := Covers("").Covered(granted, row.needed); got != row.equal {
			t.Errorf("the default: %q covers %q: %t", row.granted, row.needed, got)
		}
		if got := CoversSMART.Covered(granted, row.needed); got != row.smart {
			t.Errorf("%s: %q covers %q: %t", CoversSMART, row.granted, row.needed, got)
		}
	}
}

// TestCoversModel compares the rule with what scopes mean: every pair of a small
// world's scopes as the granted ones, against each of them as the needed one. A scope
// means the set of requests that it permits, and covers another if no request of the
// other is outside of it.
func TestCoversModel(t *testing.T) {
	scopes := []string{""}
	for _, context := range []string{"patient", "user"} {
		for _, resource := range []string{"*", "Observation", "Condition"} {
			for _, interactions := range []string{"r", "s", "rs", "cruds", "read", "*"} {
				for _, query := range []string{"", "?a=1", "?b=2", "?a=1&b=2"} {
					if query == "" || interactions != "read" && interactions != "*" {
						scopes = append(scopes, context+"/"+resource+"."+interactions+query)
					}
				}
			}
		}
	}
	permitted := make(map[string]map[string]bool)
	for _, scope := range scopes {
		permitted[scope] = requestsOf(scope)
	}
	for i, first := range scopes {
		for _, second := range scopes[i:] {
			for _, needed := range scopes[1:] {
				want := true
				for request := range permitted[needed] {
					want = want && (permitted[first][request] || permitted[second][request])
				}
				if got := CoversSMART.Covered([]string{first, second}, needed); got != want {
					t.Fatalf("%q and %q cover %q: %t", first, second, needed, got)
				}
			}
		}
	}
}

// requestsOf returns the requests that a scope of TestCoversModel permits, read
// without the code under test. The type Patient stands for all that no scope names.
func requestsOf(scope string) map[string]bool {
	permitted := make(map[string]bool)
	for _, context := range []string{"patient", "user"} {
		for _, resource := range []string{"Observation", "Condition", "Patient"} {
			for _, letter := range "cruds" {
				for _, tags := range []string{"", "a=1", "b=2", "a=1&b=2"} {
					text, query, _ := strings.Cut(scope, "?")
					of, interactions, _ := strings.Cut(text, ".")
					if letters := map[string]string{"read": "rs", "*": "cruds"}[interactions]; letters != "" {
						interactions = letters
					}
					named := of == context+"/"+resource || of == context+"/*"
					tagged := query == "" || !slices.ContainsFunc(strings.Split(query, "&"), func(f string) bool { return !strings.Contains(tags, f) })
					if named && tagged && strings.ContainsRune(interactions, letter) {
						permitted[fmt.Sprint(context, resource, letter, tags)] = true
					}
				}
			}
		}
	}
	return permitted
}

// TestMissing protects what the page is told to ask for: only what is not covered, in
// the order of the route.
func TestMissing(t *testing.T) {
	granted := []string{"launch/patient", "patient/Observation.rs"}
	needed := []string{"patient/Condition.rs", "patient/Observation.r", "offline_access", "patient/*.rs"}
	if got := CoversSMART.Missing(granted, needed); !slices.Equal(got, []string{"patient/Condition.rs", "patient/*.rs"}) {
		t.Error(got)
	}
	if got := CoversSMART.Missing([]string{"patient/*.cruds"}, needed); got != nil {
		t.Error(got)
	}
}
