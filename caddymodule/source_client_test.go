// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strings"
	"testing"
)

// TestUseScopes protects people from an application that asks them for more than the
// catalogue lets it, and an application from asking for more than it needs: its scopes
// are some of the source's, by the source's own rule, and another application's are not
// touched.
func TestUseScopes(t *testing.T) {
	const catalogue = `{
		"withings": {"preset": "withings", "client_id": "a", "client_secret": "s"},
		"hospital": {"preset": "smart", "fhir_base": "https://fhir.example.org/R4", "client_id": "a"},
		"garmin": {"preset": "garmin", "client_id": "a", "client_secret": "s"}
	}`
	for name, test := range map[string]struct{ source, scopes, err string }{
		"some":                       {"withings", "user.metrics user.info", ""},
		"one that is not there":      {"withings", "user.metrics user.sleepevents", "scopes: the source does not have user.sleepevents"},
		"a part of a wider one":      {"hospital", "launch/patient patient/Observation.rs offline_access", ""},
		"more than the wider one":    {"hospital", "patient/Observation.cruds", "does not have patient/Observation.cruds"},
		"of a vendor that has none":  {"garmin", "steps", "the source has none"},
		"none":                       {"withings", "none", "does not have none"},
		"nothing: all of the source": {"withings", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.Fields(test.scopes)
			text := `[]`
			if len(want) > 0 {
				text = `["` + strings.Join(want, `","`) + `"]`
			}
			configs, err := sourcesOf(t, catalogue, `{"use": {"`+test.source+`": {"scopes": `+text+`}}}`)
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%v; want %s", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case len(want) > 0 && !slices.Equal(configs[0].Scopes, want):
				t.Errorf("%q, want %q", configs[0].Scopes, want)
			case len(want) == 0 && len(configs[0].Scopes) != 3:
				t.Errorf("%q", configs[0].Scopes)
			}
		})
	}
	if configs, err := sourcesOf(t, catalogue, `{"use": {"withings": {}}}`); err != nil || len(configs[0].Scopes) != 3 {
		t.Errorf("another application: %v", err)
	}
}
