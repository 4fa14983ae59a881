// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestSourcesAllowLine protects operators from an error that names an `allow` line by its
// place in one of several blocks: it is told with the line of the file.
func TestSourcesAllowLine(t *testing.T) {
	c := startSources(t, "", "")
	const line = "allow GET /city_lab/sleep activity.read"
	for changed, want := range map[string]string{
		"allow GET /sleep activity.read":       "allow /sleep: the first segment of a path names the source that it goes to, one of city_lab, harbor_lab",
		"allow GET /city_lap/sleep":            "allow /city_lap/sleep: the first segment of a path names the source",
		"allow GET /*/sleep":                   "allow /*/sleep: the first segment of a path names the source",
		"allow GET /city_lab":                  "allow /city_lab: the path at the source is missing",
		"allow GET /city_lab/sleep sleep.read": "allow /city_lab/sleep: scope sleep.read is not among those of source city_lab",
	} {
		text, err := c.Render(strings.Replace(c.caddyfileOf("", ""), line, changed, 1))
		if err != nil {
			t.Fatal(err)
		}
		before, _, ok := strings.Cut(text, changed+"\n")
		if !ok {
			t.Fatal(text)
		}
		err = c.Load(strings.Replace(c.caddyfileOf("", ""), line, changed, 1))
		at := fmt.Sprintf(":%d", 1+strings.Count(before, "\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v\nwant %s, at %s", changed, err, want, at)
		}
	}
}
