// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// happening is an item of the timeline: a row of a feature block.
type happening struct {
	block string
	row   *row
}

// happenings are everything that happened, oldest first.
func (v *memberCall) happenings() []happening {
	var all []happening
	for block, rows := range map[string][]*row{
		"referrals": v.data.referrals, "secure_messages": v.data.messages, "calendar": slices.Concat(v.data.events, v.data.appointments),
	} {
		for _, r := range rows {
			all = append(all, happening{block, r})
		}
	}
	slices.SortFunc(all, func(a, b happening) int { return a.row.id - b.row.id })
	return all
}

// timestamp is a field that holds seconds, as number or text; when the row was
// made if there is none.
func (r *row) timestamp(field string) int64 {
	seconds, err := strconv.ParseInt(text(r.fields[field]), 10, 64)
	if err != nil {
		return r.created
	}
	return seconds
}

// at is when it is, or was, on the timeline.
func (h happening) at() int64 {
	if h.block == "calendar" {
		return h.row.timestamp("start_timestamp")
	}
	return h.row.created
}

func (h happening) texts(item map[string]any, names ...string) map[string]any {
	for _, name := range names {
		item[name] = text(h.row.fields[name])
	}
	return item
}

func isoTime(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// listed is the item in the list: the ID a number, that of the block's row text,
// and times as ISO 8601.
func (h happening) listed() map[string]any {
	item := map[string]any{
		"id": h.row.id, "feature_block": h.block, "feature_block_id": strconv.Itoa(h.row.id), "start_timestamp": isoTime(h.at()), "item_timestamp": h.at(),
	}
	switch h.block {
	case "referrals":
		return h.texts(item, "service_description", "service_name", "contact_name", "contact_title", "memo", "status")
	case "secure_messages":
		item["created_timestamp"] = h.row.created
		return h.texts(item, "message_from", "message_to", "message_content")
	}
	end := h.row.timestamp("end_timestamp")
	item["end_timestamp"] = isoTime(end)
	item["duration_string"], item["duration_of_event"] = duration(end-h.at()), float64(end-h.at())/3600
	return h.texts(item, "title", "location", "organiser", "description", "status")
}

// single is the item by itself: the ID of the block's row a number, and times as
// people write them.
func (h happening) single(v *memberCall) map[string]any {
	item := map[string]any{
		"feature_block": h.block, "feature_block_id": h.row.id, "instance": "0", "source": v.conID, "start_timestamp": spoken(h.at()),
	}
	if h.block == "calendar" {
		end := h.row.timestamp("end_timestamp")
		item["end_timestamp"], item["duration_string"], item["duration_of_event"] = spoken(end), duration(end-h.at()), float64(end-h.at())/86400
		item["created_timestamp"], item["updated_timestamp"] = fmt.Sprint(h.row.created), fmt.Sprint(h.row.created)
		return h.texts(item, "external_uid", "title", "description", "organiser", "attendee", "status", "location", "type", "tags", "trigger", "action", "reminder_description")
	}
	item["created_timestamp"], item["updated_timestamp"] = h.row.created, h.row.created
	if h.block == "secure_messages" {
		delete(item, "instance")
		delete(item, "source")
		item["item_timestamp"] = h.at()
		item["time_sent"], item["time_received"] = sentAndReceived(h.row)
		return h.texts(item, "conversation_id", "message_from", "message_to", "message_content")
	}
	item["service_id"], item["type"] = serviceID(h.row), selfReferred
	item["start_time"], item["end_time"], item["complete_time"], item["is_processed"] = h.row.timestamp("start_time"), h.row.timestamp("end_time"), 0, false
	item["referree_availability"] = h.row.fields["referree_availability"]
	if item["referree_availability"] == nil {
		item["referree_availability"] = map[string]any{"AM": []any{}, "PM": []any{}}
	}
	return h.texts(item, "service_name", "service_description", "service_url", "service_email", "contact_name", "contact_title", "contact_number", "referrer_name",
		"status", "external_id", "memo", "duration", "referree_background", "referree_requirements")
}

// serviceID is a number; 0 if the referral names none.
func serviceID(r *row) any {
	if n, ok := r.fields["service_id"].(json.Number); ok && isInteger(n) {
		return n
	}
	return 0
}

// spoken is a time as "26th March 2026, 4:15 pm".
func spoken(seconds int64) string {
	at := time.Unix(seconds, 0).UTC()
	ending := "th"
	if day := at.Day(); day/10 != 1 {
		switch day % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return strconv.Itoa(at.Day()) + ending + " " + at.Format("January 2006, 3:04 pm")
}

// duration is as "1 hour" or "2 hours 30 minutes".
func duration(seconds int64) string {
	var parts []string
	for _, unit := range []struct {
		name    string
		seconds int64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}} {
		if n := seconds / unit.seconds; n > 0 {
			part := fmt.Sprintf("%d %s", n, unit.name)
			if n > 1 {
				part += "s"
			}
			parts = append(parts, part)
			seconds %= unit.seconds
		}
	}
	return strings.Join(parts, " ")
}

func readTimeline(v *memberCall) (any, *refusal) {
	items := []map[string]any{}
	for _, h := range v.happenings() {
		items = append(items, h.listed())
	}
	return map[string]any{"success": 1, "timeline": items}, nil
}

func readTimelineItem(v *memberCall) (any, *refusal) {
	block, refused := v.query.text("feature_block")
	if refused != nil {
		return nil, refused
	}
	id, refused := v.query.text("feature_block_id")
	if refused != nil {
		return nil, refused
	}
	for _, h := range v.happenings() {
		if h.block == block && strconv.Itoa(h.row.id) == id {
			return map[string]any{"success": 1, "timeline_item": h.single(v)}, nil
		}
	}
	return nil, bad("There is no such item")
}
