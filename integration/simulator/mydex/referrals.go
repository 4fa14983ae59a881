// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
)

// selfReferred is the type of referrals, as the platform calls it.
const selfReferred = "Self Referred"

func selfRefer(v *memberCall) (any, *refusal) {
	f, refused := v.object("service_id")
	if refused != nil {
		return nil, refused
	}
	if n, ok := f["service_id"].(json.Number); !ok || !isInteger(n) {
		return nil, bad("Invalid field: service_id")
	}
	f["status"] = "Referred"
	return inserted(v.add(&v.data.referrals, f))
}

func isInteger(n json.Number) bool {
	_, err := n.Int64()
	return err == nil
}

// addReferral answers a member who is present at once: there is nothing to wait for.
func addReferral(v *memberCall) (any, *refusal) {
	f, refused := v.object("referral_data")
	if refused != nil {
		return nil, refused
	}
	data, ok := f["referral_data"].(map[string]any)
	if !ok {
		return nil, bad("Invalid field: referral_data")
	}
	data["status"] = "Referred"
	r := v.add(&v.data.referrals, data)
	return map[string]any{"success": 1, "status": "complete", "message": "", "url": nil, "qr": nil, "referral_id": r.id}, nil
}

// referral is how a list shows it.
func referral(r *row) map[string]any {
	return map[string]any{
		"id": r.id, "created_timestamp": r.created, "service_id": serviceID(r),
		"service_name": text(r.fields["service_name"]), "service_description": text(r.fields["service_description"]),
		"service_contact_number": text(r.fields["contact_number"]), "service_email": text(r.fields["service_email"]),
		"service_url": text(r.fields["service_url"]), "type": selfReferred, "status": text(r.fields["status"]),
	}
}

func readReferrals(v *memberCall) (any, *refusal) {
	return listed("referrals", v.data.referrals, referral)
}

func readReferral(v *memberCall) (any, *refusal) {
	id, refused := v.query.text("id")
	if refused != nil {
		return nil, refused
	}
	r := find(v.data.referrals, id)
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

func updateReferral(v *memberCall) (any, *refusal) {
	f, refused := v.object("id", "status")
	if refused == nil {
		refused = oneOf(f, "status", referralStates)
	}
	if refused != nil {
		return nil, refused
	}
	r := find(v.data.referrals, f["id"])
	if r == nil {
		return nil, bad("There is no such referral")
	}
	r.fields["status"] = f["status"]
	return done{1}, nil
}

func sendMessage(v *memberCall) (any, *refusal) {
	return v.addTo(&v.data.messages, nil, "message_content", "conversation_id")
}

func receiveMessage(v *memberCall) (any, *refusal) {
	return v.addTo(&v.data.messages, nil, "message_content", "conversation_id")
}

// sentAndReceived are the times of a message, one of them empty: who names a
// sender has received it.
func sentAndReceived(r *row) (sent, received string) {
	if text(r.fields["message_from"]) != "" {
		return "", fmt.Sprint(r.created)
	}
	return fmt.Sprint(r.created), ""
}

// readConversation answers without success, unlike everything else.
func readConversation(v *memberCall) (any, *refusal) {
	id, refused := v.query.text("conversation_id")
	if refused != nil {
		return nil, refused
	}
	messages := []map[string]string{}
	for _, r := range v.data.messages {
		if text(r.fields["conversation_id"]) == id {
			sent, received := sentAndReceived(r)
			status := "sent"
			if received != "" {
				status = "received"
			}
			messages = append(messages, map[string]string{
				"id": fmt.Sprint(r.id), "conversation_id": id, "message_to": text(r.fields["message_to"]),
				"message_from": text(r.fields["message_from"]), "time_sent": sent,
				"time_received": received, "message_content": text(r.fields["message_content"]), "status": status,
			})
		}
	}
	return map[string]any{"messages": messages}, nil
}
