// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"strconv"
	"strings"
)

// seriesDays is how many days back devices have measured.
const seriesDays = 62

// series are what devices measure, by namespace and type: one value a day, from
// low up to low+span.
var series = map[string]map[string]struct{ low, span int }{
	"Fitbit": {
		"Steps": {2500, 9000}, "RestingHeartRate": {54, 14}, "Calories": {1600, 900}, "Floors": {2, 12}, "BreathingRate": {13, 4}, "SpO2": {95, 4},
		"HrvDailyRmssd": {25, 40}, "MinutesVeryActive": {5, 40}, "MinutesFairlyActive": {5, 40}, "MinutesLightlyActive": {60, 180},
		"SleepLevelRem": {60, 60}, "SleepLevelLight": {150, 90}, "SleepLevelDeep": {50, 50}, "HeartRateZone": {10, 40},
	},
	"AppleHealth": {
		"Steps": {2500, 9000}, "HourlySteps": {2500, 9000}, "HourlyDistanceWalkingRunning": {1800, 6000}, "FlightsClimbed": {2, 12},
		"RestingHeartRate": {54, 14}, "WalkingHeartRateAverage": {85, 20}, "HourlyMaximumHeartRate": {120, 40}, "HourlyMinimumHeartRate": {48, 10},
		"HeartRateVariability": {25, 40}, "AppleStandTime": {60, 120}, "SleepAnalysisInterval": {360, 120},
	},
	"GoogleFit": {"Steps": {2500, 9000}},
	"Garmin":    {"Steps": {2500, 9000}, "RestingHeartRateInBeatsPerMinute": {54, 14}},
	"Oura":      {"Steps": {2500, 9000}, "Sleep": {360, 120}},
}

// measured are the points of the namespace and types that the query names; of
// all the namespace's types if it names none. Types that nobody measures have none.
func (c *call) measured() []map[string]any {
	q := c.URL.Query()
	namespace, types := q.Get("namespace"), q.Get("type")
	if namespace == "Fitbit" && types == "Device" {
		return c.fitbitDevices()
	}
	var points []map[string]any
	for n := range seriesDays {
		for _, kind := range sortedKeys(series[namespace]) {
			if types == "" || contains(types, kind) {
				points = append(points, c.measurement(namespace, kind, n))
			}
		}
	}
	return points
}

// measurable are all points of all namespaces, by which one of them is found.
func (c *call) measurable() []map[string]any {
	points := c.fitbitDevices()
	for _, namespace := range sortedKeys(series) {
		for _, kind := range sortedKeys(series[namespace]) {
			for n := range seriesDays {
				points = append(points, c.measurement(namespace, kind, n))
			}
		}
	}
	return points
}

// measurement is what a device measured n days ago.
func (c *call) measurement(namespace, kind string, n int) map[string]any {
	at, day := c.day(n), c.day(n)[:10]
	of := series[namespace][kind]
	seed := namespace + kind + day
	point := c.withOwner(map[string]any{
		"id": guidOf("measured", c.participant.ID, seed), "namespace": namespace, "type": kind, "identifier": kind + " " + day,
		"value": strconv.Itoa(c.number(seed, 0, of.low, of.span)), "units": "count",
		"startDate": at, "observationDate": at, "insertedDate": at, "modifiedDate": at,
		"startDateOffset": "+00:00:00", "observationDateOffset": "+00:00:00",
		"properties": map[string]string{"owner": c.participant.FirstName},
		"source":     map[string]any{"identifier": namespace, "properties": map[string]string{}},
		"dataSource": map[string]string{"sourceName": c.participant.FirstName},
	})
	switch kind {
	case "HeartRateZone":
		point["properties"] = map[string]string{"Minutes": point["value"].(string)}
		point["value"] = []string{"Fat Burn", "Cardio", "Peak"}[n%3]
	case "SleepAnalysisInterval":
		point["value"] = "Asleep"
		point["startDate"] = strings.Replace(c.day(n+1), "T00:00", "T23:00", 1)
		point["observationDate"] = strings.Replace(at, "T00:00", "T06:30", 1)
	}
	return point
}

// fitbitDevices are the devices that Fitbit tells of, as points of their own.
func (c *call) fitbitDevices() []map[string]any {
	return c.items("device", func(n int) map[string]any {
		return map[string]any{
			"namespace": "Fitbit", "type": "Device", "value": []string{"Charge 6", "Aria Air", "Inspire 3"}[n], "identifier": "device-" + strconv.Itoa(n+1),
			"startDate": c.day(n), "observationDate": c.day(n), "insertedDate": c.day(n), "modifiedDate": c.day(n),
			"properties": map[string]string{
				"Type": []string{"TRACKER", "SCALE", "TRACKER"}[n], "Battery": []string{"High", "Medium", "Low"}[n], "owner": c.participant.FirstName,
			},
		}
	})
}
