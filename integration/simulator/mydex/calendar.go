// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// calendarRoutes are the calendar's: the one feature block that is simulated,
// for all of them are told the member in the same way (see [styleBlock]).
var calendarRoutes = []route{
	to(http.MethodPost, "calendar/add-event", styleBlock, addEvent),
	to(http.MethodGet, "calendar/get-events", styleBlock, getEvents),
	to(http.MethodPut, "calendar/update-event", styleBlock, updateEvent),
	to(http.MethodDelete, "calendar/delete-event", styleBlock, deleteEvent),
}

// routes are all of the PDX.
var routes = slices.Concat(datasetRoutes, calendarRoutes)

var eventStates = []string{"INVITED", "TENTATIVE", "CONFIRMED", "REJECTED", "CANCELLED"}

func checkEventStatus(f fields) *refusal {
	if f["status"] != nil && !slices.Contains(eventStates, text(f["status"])) {
		return bad("Invalid field: status")
	}
	return nil
}

func addEvent(v *memberCall) (any, *refusal) {
	f, refused := v.object("title", "start_timestamp", "end_timestamp", "status")
	if refused == nil {
		refused = checkEventStatus(f)
	}
	if refused != nil {
		return nil, refused
	}
	return inserted(v.add(&v.data.events, f))
}

// event shows everything as text, as the platform does, though requests send numbers.
func (v *memberCall) event(r *row) map[string]string {
	shown := map[string]string{
		"id": strconv.Itoa(r.id), "instance": "0", "source": v.conID,
		"created_timestamp": fmt.Sprint(r.created), "updated_timestamp": fmt.Sprint(r.created),
		"context_name": text(r.fields["context"]),
	}
	for _, name := range []string{
		"external_uid", "title", "description", "start_timestamp", "end_timestamp", "organiser", "attendee", "status",
		"location", "type", "tags", "trigger", "action", "reminder_description",
	} {
		shown[name] = text(r.fields[name])
	}
	return shown
}

// getEvents answers with a list, never null.
func getEvents(v *memberCall) (any, *refusal) {
	shown := make([]map[string]string, 0, len(v.data.events))
	for _, r := range v.data.events {
		shown = append(shown, v.event(r))
	}
	return map[string]any{"success": 1, "events": shown}, nil
}

// namedEvent is the event that the body's id names. The ID is in the body of a
// DELETE as well.
func (v *memberCall) namedEvent() (fields, *row, *refusal) {
	f, refused := v.object("id")
	if refused == nil {
		refused = checkEventStatus(f)
	}
	if refused != nil {
		return nil, nil, refused
	}
	r := find(v.data.events, f["id"])
	if r == nil {
		return nil, nil, bad("There is no such event")
	}
	return f, r, nil
}

func updateEvent(v *memberCall) (any, *refusal) {
	f, r, refused := v.namedEvent()
	if refused != nil {
		return nil, refused
	}
	delete(f, "id")
	maps.Copy(r.fields, f)
	return done{1}, nil
}

func deleteEvent(v *memberCall) (any, *refusal) {
	_, r, refused := v.namedEvent()
	if refused != nil {
		return nil, refused
	}
	v.data.events = slices.DeleteFunc(v.data.events, func(other *row) bool { return other == r })
	return done{1}, nil
}
