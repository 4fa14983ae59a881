// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// documentedScopes are the scopes that the platform documents, and Project:read, which
// its own dashboard asks for. The list is for warnings only: the platform adds
// scopes without notice.
var documentedScopes = []string{
	"api",
	"AppleHealthActivitySummaries:read",
	"AppleHealthWorkouts:read",
	"CustomEvents:write",
	"DataCollectionSettings:read",
	"DeviceData:read",
	"DeviceData:write",
	"ExternalAccounts:connect",
	"ExternalAccounts:read",
	"ExternalAccounts:write",
	"File:read",
	"File:write",
	"FitbitDailySummaries:read",
	"FitbitDataSummary:read",
	"FitbitSleepLogs:read",
	"Notifications:read",
	"Participant:read",
	"Project:read",
	"SurveyAnswers:read",
	"SurveyResults:write",
	"SurveyTasks:read",
}

// sortedScopes returns the setting's scopes, sorted.
func sortedScopes(scopes []string) ([]string, error) {
	sorted := slices.Sorted(slices.Values(scopes))
	for i, s := range sorted {
		if !delegation.IsScope(s) {
			return nil, errors.New("scopes holds an empty scope or one with a space, quote, backslash or control character: write the scopes side by side, unquoted")
		}
		if i > 0 && s == sorted[i-1] {
			return nil, fmt.Errorf("scopes names %s twice: remove one", s)
		}
	}
	return sorted, nil
}

// Warnings returns what in the settings works but is probably a mistake, for the log.
func (p *Provider) Warnings() []string {
	var all []string
	for _, s := range p.config.Scopes {
		switch {
		case s == "api":
			all = append(all, "scopes: api opens everything the participant may read and write; name finer scopes instead")
		case !slices.Contains(documentedScopes, s):
			all = append(all, fmt.Sprintf("scopes: %s is none of the scopes the platform documents; check its spelling", s))
		}
	}
	if !isGUID(p.config.Project) {
		all = append(all, "project: project IDs are GUIDs; check that this is the ID and not the name")
	}
	if strings.HasSuffix(p.upstream.Prefix, "/api") {
		all = append(all, "base_url ends in /api; the platform's paths begin with /api already, so leave it out")
	}
	return all
}
