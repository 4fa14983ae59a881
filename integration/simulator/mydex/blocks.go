// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// blockRoutes are the feature blocks.
var blockRoutes = []route{
	to(http.MethodPost, "calendar/add-event", styleBlock, addEvent),
	to(http.MethodPost, "calendar/add-appointment", styleBlock, addAppointment),
	to(http.MethodGet, "calendar/get-events", styleBlock, getEvents),
	to(http.MethodGet, "calendar/get-appointments", styleBlock, getAppointments),
	to(http.MethodPut, "calendar/update-event", styleBlock, updateEvent),
	to(http.MethodDelete, "calendar/delete-event", styleBlock, deleteEvent),
	to(http.MethodPost, "referrals/self-refer", styleBlock, selfRefer),
	to(http.MethodPost, "referrals/add", styleBlock, addReferral),
	to(http.MethodGet, "referrals/read-all", styleBlock, readReferrals),
	to(http.MethodGet, "referrals/read-single", styleBlock, readReferral),
	to(http.MethodPut, "referrals/update-status", styleBlock, updateReferral),
	to(http.MethodPost, "secure-messages/send", styleBlock, sendMessage),
	to(http.MethodPost, "secure-messages/receive", styleBlock, receiveMessage),
	to(http.MethodGet, "secure-messages/conversation", styleBlock, readConversation),
	to(http.MethodGet, "timeline", styleBlock, readTimeline),
	to(http.MethodGet, "timeline/single-item", styleBlock, readTimelineItem),
	to(http.MethodPost, "api/pds/add-measurements", styleBlock, addMeasurements),
}

// routes are all of the PDX but the older form of connecting.
var routes = slices.Concat(datasetRoutes, blockRoutes)

var (
	eventStates    = []string{"INVITED", "TENTATIVE", "CONFIRMED", "REJECTED", "CANCELLED"}
	referralStates = []string{"Referred", "In Progress", "Accepted", "Rejected"}
)

// listed answers with rows below a key, never null.
func listed[T any](key string, rows []*row, show func(*row) T) (any, *refusal) {
	shown := make([]T, 0, len(rows))
	for _, r := range rows {
		shown = append(shown, show(r))
	}
	return map[string]any{"success": 1, key: shown}, nil
}

func oneOf(f fields, name string, known []string) *refusal {
	if known != nil && f[name] != nil && !slices.Contains(known, text(f[name])) {
		return bad("Invalid field: " + name)
	}
	return nil
}

func (v *memberCall) addTo(rows *[]*row, states []string, required ...string) (any, *refusal) {
	f, refused := v.object(required...)
	if refused == nil {
		refused = oneOf(f, "status", states)
	}
	if refused != nil {
		return nil, refused
	}
	return inserted(v.add(rows, f))
}

func addEvent(v *memberCall) (any, *refusal) {
	return v.addTo(&v.data.events, eventStates, "title", "start_timestamp", "end_timestamp", "status")
}

func addAppointment(v *memberCall) (any, *refusal) {
	return v.addTo(&v.data.appointments, eventStates, "title", "start_timestamp", "end_timestamp", "status", "context", "context_id")
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

func getEvents(v *memberCall) (any, *refusal) { return listed("events", v.data.events, v.event) }

func getAppointments(v *memberCall) (any, *refusal) {
	context, refused := v.query.text("context")
	if refused != nil {
		return nil, refused
	}
	id, refused := v.query.text("context_id")
	if refused != nil {
		return nil, refused
	}
	rows := slices.DeleteFunc(slices.Clone(v.data.appointments), func(r *row) bool {
		return text(r.fields["context"]) != context || text(r.fields["context_id"]) != id
	})
	return listed("appointments", rows, v.event)
}

func updateEvent(v *memberCall) (any, *refusal) {
	f, refused := v.object("id")
	if refused == nil {
		refused = oneOf(f, "status", eventStates)
	}
	if refused != nil {
		return nil, refused
	}
	r := find(slices.Concat(v.data.events, v.data.appointments), f["id"])
	if r == nil {
		return nil, bad("There is no such event")
	}
	delete(f, "id")
	maps.Copy(r.fields, f)
	return done{1}, nil
}

// deleteEvent reads the ID from the body of the DELETE.
func deleteEvent(v *memberCall) (any, *refusal) {
	f, refused := v.object("id")
	if refused != nil {
		return nil, refused
	}
	r := find(slices.Concat(v.data.events, v.data.appointments), f["id"])
	if r == nil {
		return nil, bad("There is no such event")
	}
	gone := func(other *row) bool { return other == r }
	v.data.events = slices.DeleteFunc(v.data.events, gone)
	v.data.appointments = slices.DeleteFunc(v.data.appointments, gone)
	return done{1}, nil
}

func addMeasurements(v *memberCall) (any, *refusal) {
	list, ok := v.body.([]any)
	if !ok || len(list) == 0 {
		return nil, bad("The request body is not a list of measurements")
	}
	for _, item := range list {
		f, ok := item.(map[string]any)
		if !ok || f["measurement_type"] == nil || f["measurement_value"] == nil {
			return nil, bad("A measurement lacks its type or its value")
		}
	}
	for _, item := range list {
		v.add(&v.data.measurements, item.(map[string]any))
	}
	return inserted(v.data.measurements[len(v.data.measurements)-1])
}
