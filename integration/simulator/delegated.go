// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

const v1, v2 = "api/v1/delegated/", "api/v2/delegated/"

// delegatedRoutes are what a participant token may call, and the scope it
// takes where the platform's list of scopes names one for it.
var delegatedRoutes = append(extraRoutes,
	to("GET", v1+"participant", "Participant:read", (*call).showParticipant),
	to("PUT", v1+"participant", "", (*call).changeParticipant),
	to("GET", v1+"project", "Project:read", (*call).showProject),
	to("GET", v1+"datacollectionsettings", "DataCollectionSettings:read", (*call).showCollectionSettings),
	to("GET", v1+"dataavailability", "", (*call).showAvailability),

	to("GET", v1+"surveyanswers", "SurveyAnswers:read", page("surveyAnswers", (*call).surveyAnswers)),
	to("GET", v1+"surveyresults", "", page("surveyResults", (*call).surveyResults)),
	to("DELETE", v1+"surveyresults/*", "SurveyResults:write", remove((*call).surveyResults)),
	to("GET", v1+"surveytasks", "SurveyTasks:read", page("surveyTasks", (*call).surveyTasks)),
	to("GET", v1+"notifications", "Notifications:read", page("notifications", (*call).notifications)),

	to("GET", v1+"inbox", "", page("items", (*call).inbox)),
	to("GET", v1+"inbox/*", "", one((*call).inbox)),
	to("PUT", v1+"inbox/*/*", "", (*call).updateInbox),

	to("GET", v1+"devicedata", "DeviceData:read", page("deviceDataPoints", (*call).devicePoints)),
	to("POST", v1+"devicedata", "DeviceData:write", (*call).postDevicePoints),
	to("GET", v1+"devicedata/allDataTypes", "DeviceData:read", (*call).deviceTypes),
	to("GET", v1+"devicedata/*", "DeviceData:read", one((*call).everyDevicePoint)),
	to("DELETE", v1+"devicedata/*", "DeviceData:write", remove((*call).everyDevicePoint)),
	to("GET", v2+"devicedata", "DeviceData:read", page("deviceDataPoints", (*call).devicePointsV2)),
	to("GET", v2+"devicedata/aggregate", "DeviceData:read", page("intervals", (*call).aggregates)),
	to("GET", v2+"devicedata/aggregate/dailysleep", "DeviceData:read", page("sleepStageSummaries", (*call).dailySleep)),
	to("GET", v2+"devicedata/allDataTypes", "DeviceData:read", (*call).deviceTypes),

	to("GET", v1+"fitbit/dailySummaries", "FitbitDailySummaries:read", page("results", (*call).fitbitSummaries)),
	to("GET", v1+"fitbit/sleepLogs", "FitbitSleepLogs:read", page("results", (*call).fitbitSleep)),
	to("GET", v1+"appleHealth/activitySummaries", "AppleHealthActivitySummaries:read", page("results", (*call).activitySummaries)),
	to("GET", v1+"appleHealth/workouts", "AppleHealthWorkouts:read", page("results", (*call).workouts)),

	to("GET", v1+"externalaccountproviders", "ExternalAccounts:read", (*call).listProviders),
	to("GET", v1+"featuredexternalaccountproviders", "ExternalAccounts:read", (*call).featuredProviders),
	to("POST", v1+"externalaccountproviders/*/connect", "ExternalAccounts:connect", (*call).connectProvider),
	to("GET", v1+"externalaccounts", "ExternalAccounts:read", (*call).listAccounts),
	to("POST", v1+"externalaccounts/refresh/*", "ExternalAccounts:write", (*call).refreshAccount),
	to("DELETE", v1+"externalaccounts/delete/*", "ExternalAccounts:write", remove((*call).accounts)),
	to("DELETE", "api/cfhrprovideraccounts/account/*", "ExternalAccounts:write", remove((*call).accounts)),

	to("GET", v1+"files", "File:read", page("files", (*call).files)),
	to("POST", v1+"files", "File:write", (*call).uploadFile),
	to("DELETE", v1+"files", "File:write", (*call).deleteFile),
	to("GET", v1+"files/download", "File:read", (*call).downloadFile),

	to("POST", v1+"customevents", "CustomEvents:write", (*call).postEvent),
	to("", v1+"custom/*", "", (*call).customAPI),
)

// publicRoutes need no token.
var publicRoutes = []route{
	to("GET", v1+"externalaccountproviders/*/logo", "", (*call).showLogo),
	to("GET", "api/v1/public/projects/*/views/*", "", (*call).showView),
	to("GET", "api/fhirpublicproviders", "", (*call).publicProviders),
	to("GET", "api/featuredfhirpublicproviders", "", (*call).publicProviders),
}

func (c *call) serveDelegated() {
	s := c.settings
	if c.record.TokenKind == kindParticipant {
		c.meter(c.token.Owner, s.DelegatedQuota, 0)
	}
	if !c.authenticate(kindParticipant) {
		return
	}
	c.participant = c.sim.people.byID(c.token.Owner)
	if c.participant == nil || c.participant.WithdrawDate != "" {
		c.refuse(http.StatusUnauthorized, "the participant was removed or withdrawn")
		return
	}
	if !c.spend(c.participant.ID, s.DelegatedQuota) {
		return
	}
	same := func(word string) func(string) bool {
		return func(s string) bool { return strings.EqualFold(s, word) }
	}
	if slices.ContainsFunc(s.Unauthorized, same(c.participant.ID)) ||
		slices.ContainsFunc(s.UnauthorizedPaths, same("/"+strings.Join(c.segments, "/"))) {
		c.refuse(http.StatusUnauthorized, "the setting unauthorized or unauthorizedPaths")
		return
	}
	r := c.pick(delegatedRoutes)
	if r == nil {
		return
	}
	if !allows(c.token, r.scope) {
		c.refuse(http.StatusForbidden, "the token lacks the scope "+r.scope)
		return
	}
	r.handle(c)
}

// withOwner marks data as the participant's, so that a mix-up shows in every answer.
func (c *call) withOwner(data map[string]any) map[string]any {
	data["participantID"] = c.participant.ID
	data["participantIdentifier"] = c.participant.Identifier
	return data
}

func (c *call) showParticipant() {
	p := c.participant
	c.json(http.StatusOK, c.withOwner(map[string]any{
		"secondaryIdentifier": "",
		"linkIdentifier":      guidOf("link", p.ID),
		"demographics":        demographics(p),
		"customFields":        orEmpty(p.CustomFields),
		"enrollmentDate":      p.InsertedDate,
		"projectID":           c.sim.projectID,
	}))
}

// participantChange is what participants may write of themselves: nobody
// renames or withdraws themselves here.
type participantChange struct {
	Demographics map[string]string `json:"demographics"`
	CustomFields map[string]string `json:"customFields"`
}

// apply merges what is given; the rest stays.
func (w *participantChange) apply(p *Participant) {
	for k, v := range w.Demographics {
		switch k {
		case "firstName":
			p.FirstName = v
		case "lastName":
			p.LastName = v
		default:
			if p.Demographics == nil {
				p.Demographics = make(map[string]string)
			}
			p.Demographics[k] = v
		}
	}
	for k, v := range w.CustomFields {
		if p.CustomFields == nil {
			p.CustomFields = make(map[string]string)
		}
		p.CustomFields[k] = v
	}
}

func (c *call) changeParticipant() {
	var w participantChange
	if !c.read(&w) {
		return
	}
	if p := c.sim.people.update(c.participant.ID, w.apply); p != nil {
		c.participant = p
	}
	c.showParticipant()
}

func (c *call) showProject() {
	c.json(http.StatusOK, c.withOwner(map[string]any{
		"id": c.sim.projectID, "name": "Simulated Study", "description": "A project that does not exist.", "code": "SIM", "type": "Research Study",
		"organization": map[string]any{
			"id": guidOf("organization"), "name": "Simulated Organization", "description": "", "logoUrl": "content/logo.png", "color": "#2a5d84",
		},
		"supportEmail": "support@example.org", "supportPhone": "555-0100",
		"learnMoreLink": "https://example.org/learn", "learnMoreTitle": "Learn more", "platforms": []string{"Web", "iOS", "Android"},
	}))
}

func (c *call) showCollectionSettings() {
	data := c.withOwner(map[string]any{
		"queryableDeviceDataTypes":    []any{map[string]any{"namespace": "Fitbit", "type": "Steps"}, map[string]any{"namespace": "AppleHealth", "type": "HeartRate"}},
		"sensorDataCollectionEndDate": isoDate(epochStart.AddDate(5, 0, 0)),
	})
	for _, source := range []string{"fitbit", "googleHealth", "ehr", "garmin", "dexcom", "omron", "airQuality", "weather", "appleHealthRecords", "appleHealth", "googleFit", "healthConnect", "oura"} {
		data[source+"Enabled"] = true
	}
	c.json(http.StatusOK, data)
}

func (c *call) showAvailability() {
	c.json(http.StatusOK, c.withOwner(map[string]any{"appleHealthRecords": true, "healthConnectPhr": false}))
}

func (c *call) showLogo() {
	c.raw("image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><title>Logo</title><circle cx="16" cy="16" r="14" fill="#2a5d84"/></svg>`)
}

func (c *call) showView() {
	c.json(http.StatusOK, map[string]any{"key": c.args[1], "url": control.Base(c.Request) + "/views/" + c.args[0] + "/" + c.args[1]})
}

func (c *call) publicProviders() { c.json(http.StatusOK, c.providers()) }

// customAPI plays a project's own API: health records in the form that
// components expect; any other tells what it was asked.
func (c *call) customAPI() {
	if records := healthRecords[strings.ToLower(c.args[0])]; records != nil && (c.Method == http.MethodGet || c.Method == http.MethodHead) {
		c.json(http.StatusOK, records(c))
		return
	}
	var body any
	if c.ContentLength != 0 && c.Method != http.MethodGet && c.Method != http.MethodHead && !c.read(&body) {
		return
	}
	c.json(http.StatusOK, c.withOwner(map[string]any{"name": c.args[0], "method": c.Method, "query": c.URL.Query(), "body": body}))
}
