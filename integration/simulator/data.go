// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// itemsPerKind is how many items of each kind every participant has.
const itemsPerKind = 3

// number makes up a number from the participant, at least low and below low+span.
func (c *call) number(name string, n, low, span int) int {
	sum := sha256.Sum256(fmt.Append(nil, c.participant.ID, "\x00", name, "\x00", n))
	return low + int(binary.BigEndian.Uint32(sum[:4]))%span
}

// items makes up items of a kind, each with an ID and the participant's names.
func (c *call) items(kind string, fields func(n int) map[string]any) []map[string]any {
	all := make([]map[string]any, itemsPerKind)
	for n := range all {
		all[n] = c.withOwner(fields(n))
		if all[n]["id"] == nil {
			all[n]["id"] = guidOf(kind, c.participant.ID, strconv.Itoa(n))
		}
	}
	return all
}

func (c *call) ref(kind string, n int) string { return guidOf(kind, c.participant.ID, strconv.Itoa(n)) }

func (c *call) survey(n int) map[string]any {
	return map[string]any{
		"surveyID": guidOf("survey", strconv.Itoa(n)), "surveyName": fmt.Sprintf("Survey%d", n+1), "surveyVersion": 1,
		"surveyDisplayName": fmt.Sprintf("Survey %d", n+1), "insertedDate": c.day(n),
	}
}

func merged(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

func (c *call) surveyAnswers() []map[string]any {
	return append(c.answeredSurveyAnswers(), c.items("surveyanswer", func(n int) map[string]any {
		return merged(c.survey(n), map[string]any{
			"surveyResultID": c.ref("surveyresult", n), "taskID": c.ref("surveytask", n), "date": c.day(n), "type": "Text",
			"stepIdentifier": fmt.Sprintf("Step%d", n+1), "resultIdentifier": fmt.Sprintf("Result%d", n+1),
			"answers": []string{strings.TrimSpace(c.participant.FirstName + " " + c.participant.LastName)},
		})
	})...)
}

func (c *call) surveyResults() []map[string]any {
	return append(c.answeredSurveyResults(), c.items("surveyresult", func(n int) map[string]any {
		return merged(c.survey(n), map[string]any{"taskID": c.ref("surveytask", n), "date": c.day(n), "userType": "Participant"})
	})...)
}

func (c *call) surveyTasks() []map[string]any {
	return c.items("surveytask", func(n int) map[string]any {
		status := []string{"incomplete", "complete", "closed"}[n]
		task := c.survey(n)
		if c.isAnswered(task["surveyName"].(string)) {
			status = "complete"
		}
		if status == "complete" {
			task["endDate"] = c.day(n)
		}
		return merged(task, map[string]any{
			"linkIdentifier": guidOf("link", c.participant.ID), "surveyDescription": "For " + c.participant.FirstName,
			"status":    status,
			"startDate": c.day(n), "dueDate": c.day(n - 7), "modifiedDate": c.day(n), "hasSavedProgress": false,
		})
	})
}

func (c *call) notifications() []map[string]any {
	return c.items("notification", func(n int) map[string]any {
		return map[string]any{
			"identifier": fmt.Sprintf("Welcome%d", n+1), "sentDate": c.day(n), "statusCode": "Succeeded",
			"type": []string{"Email", "Sms", "Push"}[n], "contentVersion": 1, "recipients": []string{c.participant.Identifier + "@example.org"},
			"content": map[string]any{"title": "Hello " + c.participant.FirstName, "subject": "Hello", "body": "Hello " + c.participant.FirstName},
		}
	})
}

func (c *call) inbox() []map[string]any {
	stored := c.sim.stored.find(c.participant.ID)
	return c.items("inbox", func(n int) map[string]any {
		item := map[string]any{
			"type": []string{"message", "survey", "resource"}[n], "categories": []string{}, "insertedDate": c.day(n), "status": "incomplete",
			"isNew": !stored.marked("read ", c.ref("inbox", n)), "title": "For " + c.participant.FirstName,
		}
		switch n {
		case 0:
			merged(item, map[string]any{"content": "Hello " + c.participant.FirstName, "relatedResources": []any{}})
		case 1:
			merged(item, map[string]any{"name": "Survey1", "hasRestorationData": false})
		case 2:
			item["url"] = "https://example.org/resource"
		}
		return item
	})
}

func (c *call) updateInbox() {
	status := "error"
	for _, item := range c.inbox() {
		if item["id"] != strings.ToLower(c.args[0]) {
			continue
		}
		if strings.EqualFold(c.args[1], "markRead") {
			status = "noChange"
			if c.sim.stored.of(c.participant.ID).mark("read ", strings.ToLower(c.args[0])) {
				status = "success"
			}
		}
		c.json(http.StatusOK, c.withOwner(map[string]any{"update": c.args[1], "status": status}))
		return
	}
	c.fail(http.StatusNotFound, "no such item")
}

func (c *call) fitbitSummaries() []map[string]any {
	zone := map[string]any{"caloriesOut": 100, "min": 80, "max": 120, "minutes": 30}
	return c.items("fitbit", func(n int) map[string]any {
		return map[string]any{
			"date": c.day(n), "steps": c.number("steps", n, 1000, 9000), "calories": c.number("calories", n, 1500, 1000), "distance": 4.2,
			"restingHeartRate": c.number("heart", n, 50, 40), "minutesVeryActive": 20, "minutesSedentary": 600, "modifiedDate": c.day(n),
			"heartRateZones": map[string]any{"fatBurn": zone, "cardio": zone, "peak": zone, "outOfRange": zone},
			"tracker":        map[string]any{"steps": c.number("steps", n, 1000, 9000), "calories": 1800},
		}
	})
}

func (c *call) fitbitSleep() []map[string]any {
	return c.items("sleep", func(n int) map[string]any {
		return map[string]any{
			"startTimestamp": c.day(n + 1), "endTimestamp": c.day(n), "duration": 28800000, "efficiency": c.number("sleep", n, 70, 30),
			"timeInBed": 480, "type": "stages", "minutesAsleep": 420, "minutesAwake": 60,
		}
	})
}

func (c *call) activitySummaries() []map[string]any {
	return c.items("activity", func(n int) map[string]any {
		return map[string]any{
			"activeEnergyBurned": c.number("energy", n, 200, 500), "activeEnergyBurnedGoal": 500, "appleExerciseTime": 30, "appleExerciseTimeGoal": 30,
			"appleStandHours": 10, "appleStandHoursGoal": 12, "startDate": c.day(n + 1), "endDate": c.day(n), "insertedDate": c.day(n),
		}
	})
}

func (c *call) workouts() []map[string]any {
	return c.items("workout", func(n int) map[string]any {
		return map[string]any{
			"startDate": c.day(n), "endDate": c.day(n), "insertedDate": c.day(n), "metadata": map[string]string{"owner": c.participant.FirstName},
			"source":  map[string]any{"name": c.participant.FirstName + "'s Watch", "identifier": "com.example.watch"},
			"summary": map[string]any{"activityType": "running", "duration": c.number("workout", n, 600, 3000)},
			"device":  map[string]any{"name": "Watch"}, "events": []any{},
		}
	})
}

func (c *call) postEvent() {
	var event map[string]any
	if !c.read(&event) {
		return
	}
	if s, _ := event["eventType"].(string); s == "" {
		c.fail(http.StatusBadRequest, "eventType is missing")
		return
	}
	c.sim.stored.of(c.participant.ID).addEvent(event)
	c.json(http.StatusOK, c.withOwner(map[string]any{"eventType": event["eventType"]}))
}

// CustomEvents returns the custom events a participant wrote, oldest first.
func (m *MyDataHelps) CustomEvents(participantID string) []map[string]any {
	return m.stored.find(strings.ToLower(participantID)).allEvents()
}
