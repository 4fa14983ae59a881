// SPDX-License-Identifier: Apache-2.0

package delegation

import "testing"

// TestR13_KeyRotation fixes which change of keys goes on with the tokens there
// are, and which begins anew.
func TestR13_KeyRotation(t *testing.T) {
	for name, c := range map[string]struct {
		replaced []string   // while the server runs, in place of the first
		loaded   [][]string // one configuration after another; the first is "a" alone
		want     string     // the last one's name
	}{
		"unchanged":                       {loaded: [][]string{{"a"}}, want: "a"},
		"replaced by a reload":            {loaded: [][]string{{"b"}}, want: "b"},
		"the new one in front":            {loaded: [][]string{{"b", "a"}}, want: "b"},
		"the new one behind":              {loaded: [][]string{{"a", "b"}}, want: "a"},
		"behind, then alone":              {loaded: [][]string{{"a", "b"}, {"b"}}, want: "a"},
		"behind, in front, then alone":    {loaded: [][]string{{"a", "b"}, {"b", "a"}, {"b"}}, want: "a"},
		"twice over":                      {loaded: [][]string{{"a", "b"}, {"b", "c"}, {"c"}}, want: "a"},
		"in its file, then a reload":      {replaced: []string{"b"}, loaded: [][]string{{"b"}}, want: "a"},
		"in its file, then another":       {replaced: []string{"b"}, loaded: [][]string{{"c"}}, want: "c"},
		"a failed reload between changes": {loaded: [][]string{{"b"}, {"a"}}, want: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			var s KeyRotation
			got := s.NameOf("a")
			if c.replaced != nil {
				s.Replace(got, c.replaced...)
			}
			for _, keys := range c.loaded {
				got = s.NameOf(keys...)
			}
			if got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}
