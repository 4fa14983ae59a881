// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
	"slices"
)

func selfRefer(v *visit) (any, *refusal) {
	f, refused := v.object("service_id")
	if refused != nil {
		return nil, refused
	}
	if n, ok := f["service_id"].(json.Number); !ok || !isInteger(n) {
		return nil, bad("Invalid field: service_id")
	}
	f["status"] = "Referred"
	return inserted(v.add(&v.shelf.referrals, f))
}

func isInteger(n json.Number) bool {
	_, err := n.Int64()
	return err == nil
}

// addReferral answers a member who is present at once: there is nothing to wait for.
func addReferral(v *visit) (any, *refusal) {
	f, refused := v.object("referral_data")
	if refused != nil {
		return nil, refused
	}
	data, ok := f["referral_data"].(map[string]any)
	if !ok {
		return nil, bad("Invalid field: referral_data")
	}
	data["status"] = "Referred"
	r := v.add(&v.shelf.referrals, data)
	return map[string]any{"success": 1, "status": "complete", "message": "", "url": nil, "qr": nil, "referral_id": r.id}, nil
}

// referral is how a list shows it.
func referral(r *row) map[string]any {
	id := r.fields["service_id"]
	if id == nil {
		id = 0 // the schema says integer
	}
	return map[string]any{
		"id": r.id, "created_timestamp": r.created, "service_id": id,
		"service_name": text(r.fields["service_name"]), "service_description": text(r.fields["service_description"]),
		"service_contact_number": text(r.fields["contact_number"]), "service_email": text(r.fields["service_email"]),
		"service_url": text(r.fields["service_url"]), "type": "Self-referral", "status": text(r.fields["status"]),
	}
}

func readReferrals(v *visit) (any, *refusal) {
	return listed("referrals", v.shelf.referrals, referral)
}

func readReferral(v *visit) (any, *refusal) {
	id, refused := v.query.text("id")
	if refused != nil {
		return nil, refused
	}
	r := find(v.shelf.referrals, id)
	if r == nil {
		return nil, bad("There is no such referral")
	}
	full := referral(r)
	one := map[string]any{"memo": text(r.fields["memo"])}
	for _, name := range []string{"id", "created_timestamp", "service_id", "type", "status"} {
		one[name] = full[name]
	}
	return map[string]any{"success": 1, "referral": one}, nil
}

func updateReferral(v *visit) (any, *refusal) {
	f, refused := v.object("id", "status")
	if refused == nil {
		refused = oneOf(f, "status", referralStates)
	}
	if refused != nil {
		return nil, refused
	}
	r := find(v.shelf.referrals, f["id"])
	if r == nil {
		return nil, bad("There is no such referral")
	}
	r.fields["status"] = f["status"]
	return done{1}, nil
}

func sendMessage(v *visit) (any, *refusal) {
	return v.addTo(&v.shelf.messages, nil, "message_content", "conversation_id")
}

func receiveMessage(v *visit) (any, *refusal) {
	return v.addTo(&v.shelf.messages, nil, "message_content", "conversation_id")
}

// readConversation answers without success, unlike everything else.
func readConversation(v *visit) (any, *refusal) {
	id, refused := v.query.text("conversation_id")
	if refused != nil {
		return nil, refused
	}
	messages := []map[string]string{}
	for _, r := range v.shelf.messages {
		if text(r.fields["conversation_id"]) == id {
			messages = append(messages, map[string]string{
				"id": fmt.Sprint(r.id), "conversation_id": id, "message_to": text(r.fields["message_to"]),
				"message_from": text(r.fields["message_from"]), "time_sent": fmt.Sprint(r.created),
				"time_received": fmt.Sprint(r.created), "message_content": text(r.fields["message_content"]), "status": "sent",
			})
		}
	}
	return map[string]any{"messages": messages}, nil
}

// timeline shows everything that happened, oldest first, each kind with
// fields of its own.
func (v *visit) timeline() []map[string]any {
	rows := []map[string]any{}
	add := func(block string, list []*row, names ...string) {
		for _, r := range list {
			item := map[string]any{
				"id": r.id, "feature_block": block, "feature_block_id": fmt.Sprint(r.id),
				"start_timestamp": fmt.Sprint(r.created), "item_timestamp": r.created,
			}
			for _, name := range names {
				item[name] = text(r.fields[name])
			}
			rows = append(rows, item)
		}
	}
	add("referrals", v.shelf.referrals, "service_description", "service_name", "contact_name", "contact_title", "memo", "status")
	add("secure_messages", v.shelf.messages, "message_from", "message_to", "message_content")
	calendar := []string{"start_timestamp", "end_timestamp", "title", "location", "organiser", "description", "status", "duration_string"}
	add("calendar", v.shelf.events, calendar...)
	add("calendar", v.shelf.appointments, calendar...)
	slices.SortFunc(rows, func(a, b map[string]any) int { return a["id"].(int) - b["id"].(int) })
	return rows
}

func readTimeline(v *visit) (any, *refusal) {
	return map[string]any{"success": 1, "timeline": v.timeline()}, nil
}

func readTimelineItem(v *visit) (any, *refusal) {
	block, refused := v.query.text("feature_block")
	if refused != nil {
		return nil, refused
	}
	id, refused := v.query.text("feature_block_id")
	if refused != nil {
		return nil, refused
	}
	for _, item := range v.timeline() {
		if item["feature_block"] == block && item["feature_block_id"] == id {
			if block == "secure_messages" {
				item["feature_block_id"] = item["id"] // a number here, text in the list
			}
			return map[string]any{"success": 1, "timeline_item": item}, nil
		}
	}
	return nil, bad("There is no such item")
}
