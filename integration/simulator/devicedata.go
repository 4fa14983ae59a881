// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// point makes up the n-th device data point, of the namespace and type asked for.
func (c *call) point(n int) map[string]any {
	q := c.URL.Query()
	namespace, kind := q.Get("namespace"), q.Get("type")
	if namespace == "" {
		namespace = "Project"
	}
	if kind, _, _ = strings.Cut(kind, ","); kind == "" {
		kind = "Steps"
	}
	return map[string]any{
		"namespace": namespace, "type": kind, "identifier": fmt.Sprintf("point-%d", n+1),
		"value": strconv.Itoa(c.number("point", n, 100, 9900)), "units": "count",
		"startDate": c.day(n), "observationDate": c.day(n), "insertedDate": c.day(n), "modifiedDate": c.day(n),
		"properties": map[string]string{"owner": c.participant.FirstName},
	}
}

// devicePoints are those of the project's own namespace, or those that devices
// have measured.
func (c *call) devicePoints() []map[string]any {
	if namespace := c.URL.Query().Get("namespace"); namespace != "" && namespace != "Project" {
		return c.measured()
	}
	return c.projectPoints()
}

// everyDevicePoint are those that an ID may name.
func (c *call) everyDevicePoint() []map[string]any {
	return append(c.projectPoints(), c.measurable()...)
}

func (c *call) projectPoints() []map[string]any {
	made := c.items("point", func(n int) map[string]any {
		return merged(c.point(n), map[string]any{"source": map[string]any{"identifier": "Phone", "properties": map[string]string{}}})
	})
	return append(made, c.sim.stored.find(c.participant.ID).devicePoints()...)
}

func (c *call) postDevicePoints() {
	var points []map[string]any
	if !c.read(&points) {
		return
	}
	for _, p := range points {
		kind, _ := p["type"].(string)
		value, _ := p["value"].(string)
		if kind == "" || value == "" {
			c.fail(http.StatusBadRequest, "every device data point needs a type and a value, both strings")
			return
		}
	}
	stored := c.sim.stored.of(c.participant.ID)
	have := len(stored.devicePoints())
	for i, p := range points {
		// The token says whose it is, whatever the body says.
		merged(c.withOwner(p), map[string]any{
			"id": guidOf("posted", c.participant.ID, c.now.String(), strconv.Itoa(have+i)), "namespace": "Project",
			"insertedDate": isoDate(c.now), "modifiedDate": isoDate(c.now),
		})
	}
	stored.addPoints(points)
	c.json(http.StatusOK, c.withOwner(map[string]any{"totalPersisted": len(points)}))
}

func (c *call) deviceTypes() {
	types := make([]map[string]any, 0, 3)
	for _, t := range []string{"Steps", "HeartRate", "Sleep"} {
		types = append(types, c.withOwner(map[string]any{"namespace": "Fitbit", "type": t, "enabled": true, "retentionDays": 365}))
	}
	c.json(http.StatusOK, types)
}

func (c *call) devicePointsV2() []map[string]any {
	if namespace := c.URL.Query().Get("namespace"); series[namespace] != nil {
		return c.measured()
	}
	return c.items("point2", func(n int) map[string]any {
		return merged(c.point(n), map[string]any{
			"startDateOffset": "-07:00:00", "observationDateOffset": "-07:00:00", "dataSource": map[string]string{"sourceName": c.participant.FirstName},
		})
	})
}

// daily makes up an item for each day that devices have measured.
func (c *call) daily(kind string, fields func(n int) map[string]any) []map[string]any {
	all := make([]map[string]any, seriesDays)
	for n := range all {
		all[n] = c.withOwner(fields(n))
		all[n]["id"] = guidOf(kind, c.participant.ID, c.day(n))
	}
	return all
}

func (c *call) aggregates() []map[string]any {
	functions := c.URL.Query().Get("aggregateFunctions")
	if functions == "" {
		functions = "sum"
	}
	return c.daily("aggregate", func(n int) map[string]any {
		statistics := map[string]int{}
		for f := range strings.SplitSeq(functions, ",") {
			statistics[f] = c.number(f, n, 100, 9900)
		}
		p := c.point(n)
		return map[string]any{"namespace": p["namespace"], "type": p["type"], "date": c.day(n), "statistics": statistics}
	})
}

func (c *call) dailySleep() []map[string]any {
	return c.daily("dailysleep", func(n int) map[string]any {
		p := c.point(n)
		return map[string]any{
			"namespace": p["namespace"], "type": p["type"], "date": c.day(n),
			"value": "asleep", "duration": fmt.Sprintf("0%d:00:00", c.number("nap", n, 5, 4)),
		}
	})
}
