// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Mode is a hostile way to behave, by name.
type Mode struct {
	Name string
	// Text says what it does, for the console.
	Text   string
	change func(*Settings)
}

// Modes returns all of them, in the order in which the console shows them.
func Modes() []Mode { return slices.Clone(modes) }

var modes = []Mode{
	{"echo_another", "The exchange names another person of the application.", func(s *Settings) { s.Echo = "another" }},
	{"echo_none", "The exchange does not say whose token it was.", func(s *Settings) { s.Echo = "none" }},
	{"echo_another_client", "The exchange names another application.", func(s *Settings) { s.Echo = "another_client" }},
	{"verify_another", "The API says that the access token is another person's.", func(s *Settings) { s.Verify = "another" }},
	{"verify_none", "The API does not say whose the access token is.", func(s *Settings) { s.Verify = "none" }},
	{"error_body", "The exchange answers 200 with an error in its body.", func(s *Settings) { s.Answer = "error_body" }},
	{"html", "The exchange answers 200 with a page.", func(s *Settings) { s.Answer = "html" }},
	{"empty", "The exchange answers 200 with nothing.", func(s *Settings) { s.Answer = "empty" }},
	{"huge", "The exchange answers 200 with 2 MiB.", func(s *Settings) { s.Answer = "huge" }},
	{"truncated", "The exchange's answer breaks off.", func(s *Settings) { s.Answer = "truncated" }},
	{"user_code_number", "The person's ID is a number beyond 2^53.", func(s *Settings) { s.UserCode = "number" }},
	{"user_code_null", "The person's ID is null.", func(s *Settings) { s.UserCode = "null" }},
	{"user_code_absent", "The person's ID is left out.", func(s *Settings) { s.UserCode = "absent" }},
	{"user_code_huge", "The person's ID has 10 KB.", func(s *Settings) { s.UserCode = "huge" }},
	{"access_token_null", "The access token is null.", func(s *Settings) { s.AccessToken = "null" }},
	{"access_token_changes", "Each exchange gives another access token and ends the one before.", func(s *Settings) { s.AccessToken = "changes" }},
	{"public_token_absent", "There is no public token.", func(s *Settings) { s.PublicToken = "absent" }},
	{"echo_secret", "The exchange refuses, and repeats the client secret.", echoing(http.StatusBadRequest)},
	{"echo_secret_500", "The exchange fails, and repeats the client secret.", echoing(http.StatusInternalServerError)},
	{"reusable", "A one-time token can be exchanged again.", func(s *Settings) { s.Reusable = true }},
	{"slow", "The exchange does not answer until it is told to go on.", failingWith(control.Outage{Hold: true})},
	{"slow_after", "The exchange redeems, and does not answer until it is told to go on.", func(s *Settings) { s.AfterRedeem = "hold" }},
	{"drop", "The exchange redeems, and ends the connection.", func(s *Settings) { s.AfterRedeem = "drop" }},
	{"down", "The exchange ends the connection at once.", failingWith(control.Outage{Reset: true})},
	{"500", "The exchange answers 500.", failingWith(control.Outage{Status: http.StatusInternalServerError})},
	{"429", "The exchange answers 429 with Retry-After.", failingWith(control.Outage{
		Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"},
	})},
}

func failingWith(o control.Outage) func(*Settings) {
	return func(s *Settings) { s.Outages = control.Outages{areaExchange: o} }
}

func echoing(status int) func(*Settings) {
	return func(s *Settings) { s.EchoRequest = map[string]int{areaExchange: status} }
}

// SetMode turns all switches off but those of the named modes; without a name,
// the platform behaves. Preset, names, lifetimes and statuses stay as they are.
// What is held back goes on, unless it is to be held back again.
func (p *Platform) SetMode(names ...string) error {
	return p.settings.Change(func(s *Settings) error {
		s.Reusable = false
		s.Echo, s.EchoUser, s.Verify, s.Answer, s.UserCode, s.AccessToken, s.PublicToken, s.AfterRedeem = "", "", "", "", "", "", "", ""
		s.EchoRequest, s.Outages, s.Modes = nil, nil, names
		for _, name := range names {
			i := slices.IndexFunc(modes, func(m Mode) bool { return m.Name == name })
			if i < 0 {
				return fmt.Errorf("there is no mode %q; there are %s", name, modeNames())
			}
			modes[i].change(s)
		}
		return nil
	})
}

func modeNames() string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}
