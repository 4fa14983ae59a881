// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT25_SomebodyElsesID protects against the commonest hole of health APIs
// (insecure direct object references): the caller says whose data they want,
// in the path, the query, the body or a header. Whose token is sent follows
// the session alone, so all they can reach is what the platform lets them.
func TestT25_SomebodyElsesID(t *testing.T) {
	const homemade = "reverse_proxy [[.PlatformURL]] {\n\t\theader_up X-Participant-Id {query.participantID}\n\t}"
	r := start(t, caddyfile("", site(""), homemade))
	alice := r.cookie("alice")
	const bobs = "participantIdentifier=bob&sub=bob&user=bob&subject=bob&realm=default&participant_id=bbbbbbbb-2222-4222-8222-222222222222&participantID=bbbbbbbb-2222-4222-8222-222222222222"
	for what, ask := range map[string]func() reply{
		"query":        func() reply { return r.ask("GET", "/mdh"+apiEcho+"?"+bobs, alice) },
		"forward_auth": func() reply { return r.ask("GET", "/fa"+apiEcho+"?"+bobs, alice) },
		"path":         func() reply { return r.ask("GET", "/mdh/api/v1/delegated/custom/"+stack.Bob.ID, alice) },
		"form": func() reply {
			return r.post("/mdh"+apiEcho, bobs, alice, "Content-Type: application/x-www-form-urlencoded")
		},
		"json": func() reply {
			return r.post("/mdh"+apiEcho, `{"participantID":"`+stack.Bob.ID+`","participantIdentifier":"bob"}`, alice, "Content-Type: application/json")
		},
		"header": func() reply { return r.ask("GET", "/mdh"+apiEcho, alice, "X-Participant-Id: "+stack.Bob.ID) },
		"cookie": func() reply { return r.ask("GET", "/mdh"+apiEcho, alice+"; participantID="+stack.Bob.ID+"; sub=bob") },
	} {
		r.served(what, stack.Alice, ask)
	}
	got := r.post("/mdh-token?"+bobs, bobs, alice, "Content-Type: application/x-www-form-urlencoded")
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, record := range r.Platform.Records() {
		if record.ParticipantID != "" && record.ParticipantID != stack.Alice.ID || strings.HasSuffix(record.URI, "/bob") {
			t.Errorf("%s %s was about %s", record.Method, record.URI, record.ParticipantID)
		}
	}
	record := r.crossed("query", func() reply { return r.askHome("GET", apiEcho+"?"+bobs) })
	if record.Header.Get("X-Participant-Id") != stack.Bob.ID {
		t.Errorf("control: %v", record.Header)
	}
}

// TestT55_OwnField protects users whose participant is found by a custom field
// (participant_field) that participants can write: whoever writes another's
// name there does not become them, nor takes them over, nor locks them out for
// longer than until it is undone. An index by the field alone, as homemade
// authenticators keep, would hand the record over; see the control.
func TestT55_OwnField(t *testing.T) {
	named := func(p simulator.Participant, user string) simulator.Participant {
		p.CustomFields = map[string]string{"user": user}
		return p
	}
	text := strings.Replace(caddyfile("", site("allow PUT /api/v1/delegated/participant\n\t\t\tallow GET /api/v1/delegated/**"), passing), "participant_identifier", "participant_field user", 1)
	r := start(t, text, named(stack.Alice, "u-alice"), named(stack.Bob, "u-bob"))
	alice, bob := r.cookie("u-alice"), r.cookie("u-bob")
	get := func(cookie string) reply { return r.ask("GET", "/mdh"+apiEcho, cookie) }
	r.served("alice", stack.Alice, func() reply { return get(alice) })
	r.served("bob", stack.Bob, func() reply { return get(bob) })

	// Bob writes alice's name into his own field, through the proxy.
	write := func(user string) {
		body := `{"customFields":{"user":"` + user + `"}}`
		got := r.send(http1("PUT", "/mdh"+apiParticipant, r.authority(false), bob, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body)
		if p, _ := r.Platform.Participant(stack.Bob.ID); got.status != http.StatusOK || p.CustomFields["user"] != user {
			t.Fatalf("%d %s; the field is %q", got.status, got.body, p.CustomFields["user"])
		}
	}
	write("u-alice")
	// Everything that is remembered is dropped, and looked up anew.
	r.load(strings.Replace(text, "scopes          api ", "scopes          ", 1))
	owners := func(what string, cookie string, own simulator.Participant) {
		calls := len(r.Platform.Records())
		got := get(cookie)
		if got.status == http.StatusOK && !strings.Contains(got.body, own.ID) {
			t.Errorf("%s: served as somebody else: %s", what, got.body)
		}
		if got.status != http.StatusOK && got.code() != "participant_ambiguous" && got.code() != "account_conflict" && got.code() != "participant_unknown" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		for _, record := range r.Platform.Records()[calls:] {
			if record.ParticipantID != "" && record.ParticipantID != own.ID {
				t.Errorf("%s: %s %s was about %s", what, record.Method, record.URI, record.ParticipantID)
			}
		}
	}
	owners("alice, with two of her name", alice, stack.Alice)
	owners("bob, with none of his name", bob, stack.Bob)
	// Alone with the name, bob is still not alice.
	r.Platform.UpdateParticipant(stack.Alice.ID, func(p *simulator.Participant) { p.CustomFields = map[string]string{"user": "elsewhere"} })
	r.load(text)
	owners("alice, whose name bob has alone", alice, stack.Alice)
	// The control: by the field alone it would be bob.
	found := ""
	for _, p := range r.Platform.Participants() {
		if p.CustomFields["user"] == "u-alice" {
			found = p.ID
		}
	}
	if found != stack.Bob.ID {
		t.Errorf("control: the field leads to %q", found)
	}
}
