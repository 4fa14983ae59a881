// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// The default policy is what stands between an app and everything else a
// participant token can do: no deletion, no account deletion, and no PUT of
// the participant, who could write themselves into somebody else's field.
func TestRoutes(t *testing.T) {
	p, err := New(testConfig(ByID))
	if err != nil {
		t.Fatal(err)
	}
	table, err := policy.New(p.Traits().Routes, p.Traits().Scopes)
	if err != nil {
		t.Fatal(err)
	}
	const v1, v2 = "/api/v1/delegated/", "/api/v2/delegated/"
	for _, c := range []struct {
		open   string // with a token, without one ("public"), or "" for closed
		method string
		paths  []string
	}{
		{"token", "GET", []string{
			v1 + "participant", v1 + "project", v1 + "datacollectionsettings", v1 + "dataavailability", v1 + "surveyanswers", v1 + "surveyresults",
			v1 + "surveytasks", v1 + "inbox", v1 + "inbox/1", v1 + "devicedata", v1 + "devicedata/1", v1 + "devicedata/allDataTypes",
			v2 + "devicedata", v2 + "devicedata/aggregate", v2 + "devicedata/aggregate/dailysleep", v2 + "devicedata/allDataTypes",
			v1 + "fitbit/dailySummaries", v1 + "appleHealth/workouts", v1 + "externalaccountproviders", v1 + "externalaccounts",
			v1 + "featuredexternalaccountproviders", v1 + "notifications", v1 + "files", v1 + "files/download", v1 + "custom/Asthma.ActionPlan",
		}},
		{"token", "POST", []string{
			v1 + "devicedata", v1 + "externalaccountproviders/1/connect", v1 + "externalaccounts/refresh/1", v1 + "files", v1 + "customevents", v1 + "custom/Name",
		}},
		{"token", "PUT", []string{v1 + "inbox/1/markRead", v1 + "custom/Name"}},
		{"public", "GET", []string{v1 + "externalaccountproviders/1/logo", "/api/v1/public/projects/1/views/key"}},
		{"", "DELETE", []string{
			v1 + "surveyresults/1", v1 + "devicedata/1", v1 + "files", v1 + "externalaccounts/delete/1", v1 + "custom/Name", v1 + "participant",
			"/api/cfhrprovideraccounts/account/1",
		}},
		{"", "PUT", []string{v1 + "participant", v1 + "inbox/1/delete", v1 + "inbox/1", v1 + "devicedata"}},
		{"", "POST", []string{v1 + "participant", v1 + "externalaccountproviders/1/logo", v2 + "devicedata", "/identityserver/connect/token"}},
		{"", "PATCH", []string{v1 + "participant", v1 + "custom/Name"}},
		{"", "GET", []string{"/", "/api/v1/administration/projects/1/participants", "/api/v1/delegated", "/api/v3/delegated/x", "/survey", "/api/v1/public/projects/1/views/key/x"}},
	} {
		for _, path := range c.paths {
			verdict, err := table.Match(c.method, path, false)
			switch {
			case c.open == "":
				if err == nil {
					t.Errorf("%s %s is open", c.method, path)
				}
			case err != nil || verdict.Public != (c.open == "public"):
				t.Errorf("%s %s: %+v, %v; want %s", c.method, path, verdict, err, c.open)
			}
		}
	}
}
