// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Settings are what can be changed while the simulator runs. Unless said
// otherwise, a zero value turns the thing off. [Mode] has names for the hostile
// ones.
type Settings struct {
	// Preset is developer_console or human_connect_v1: the names on the wire,
	// the script's global, and what the widget hands over.
	Preset string `json:"preset"`
	// Names replace names of the preset.
	Names Names `json:"names"`
	// PlainToken has the widget hand over the bare token, not an object.
	PlainToken bool `json:"plainToken"`
	// TokenIn are the places where the API takes the access token: bearer, query
	// and a name, header and a name. Default: bearer, query access_token.
	TokenIn []string `json:"tokenIn"`
	// TokenLifetime is how long a one-time token is good, in seconds. Default: 600.
	TokenLifetime int `json:"tokenLifetime"`
	// ExchangeStatus is that of the exchange's good answer. Default: 200.
	ExchangeStatus int `json:"exchangeStatus"`
	// ClientRefusal is the status for a wrong client ID or secret. Default: 401.
	ClientRefusal int `json:"clientRefusal"`
	// TokenRefusal is the status for a one-time token that is unknown, used,
	// expired or another application's. Default: 400.
	TokenRefusal int `json:"tokenRefusal"`
	// Reusable lets a one-time token be exchanged until it has expired.
	Reusable bool `json:"reusable"`

	// Echo changes whom the exchange's answer names: another person at the
	// application, none, empty, another_client, no_client.
	Echo string `json:"echo"`
	// EchoUser is who another is. Default: somebody made up.
	EchoUser string `json:"echoUser"`
	// Verify does the same to what the API says about an access token.
	Verify string `json:"verify"`
	// Answer replaces the exchange's good answer, once the token is redeemed:
	// error_body, html, empty, huge, array, truncated or twice.
	Answer string `json:"answer"`
	// UserCode changes the form of the person's ID at the platform: number, null,
	// absent, empty, huge (10 KB), object, array or crlf.
	UserCode string `json:"userCode"`
	// AccessToken changes the form of the access token in the same words; or
	// changes it: then an exchange ends the one before.
	AccessToken string `json:"accessToken"`
	// PublicToken changes the form of the public token in the same words.
	PublicToken string `json:"publicToken"`
	// AfterRedeem is what happens to the answer once the token is redeemed: drop
	// ends the connection, hold keeps it waiting until the setting changes, error
	// answers 500.
	AfterRedeem string `json:"afterRedeem"`
	// EchoRequest is, by area, the status of an answer that repeats address,
	// headers and body of the request, secrets too. Nothing is redeemed.
	EchoRequest map[string]int `json:"echoRequest"`

	// Modes are the names of the hostile modes that were set last. [Platform.SetMode]
	// sets them; here they change nothing.
	Modes []string `json:"modes"`

	// Outages by area: exchange, recovery, verify, data, widget.
	Outages control.Outages `json:"outages"`
}

func defaultSettings() Settings {
	return Settings{
		Preset:         DeveloperConsole,
		TokenIn:        []string{"bearer", "query access_token"},
		TokenLifetime:  600,
		ExchangeStatus: http.StatusOK,
		ClientRefusal:  http.StatusUnauthorized,
		TokenRefusal:   http.StatusBadRequest,
	}
}

// Settings returns a copy of the current settings.
func (p *Platform) Settings() Settings { return p.settings.Get() }

// Set changes the settings. It panics on values that mean nothing, so that a
// test with a misspelt switch cannot pass.
func (p *Platform) Set(change func(*Settings)) {
	if err := p.settings.Change(func(s *Settings) error { change(s); return nil }); err != nil {
		panic("connect: " + err.Error())
	}
}

func (s Settings) clone() Settings {
	s.TokenIn = slices.Clone(s.TokenIn)
	s.Modes = slices.Clone(s.Modes)
	s.EchoRequest = maps.Clone(s.EchoRequest)
	s.Outages = s.Outages.Clone()
	return s
}

// failing are the areas that can fail by themselves.
var failing = []string{areaExchange, areaRecovery, areaVerify, areaData, areaWidget}

func (s *Settings) validate() error {
	forms := append([]string{""}, slices.Sorted(maps.Keys(idForms))...)
	echoes := []string{"", "another", "none", "empty", "another_client", "no_client"}
	for _, w := range []struct {
		name, value string
		known       []string
	}{
		{"preset", s.Preset, slices.Sorted(maps.Keys(presets))},
		{"echo", s.Echo, echoes},
		{"verify", s.Verify, echoes},
		{"answer", s.Answer, append([]string{""}, slices.Sorted(maps.Keys(badAnswers))...)},
		{"userCode", s.UserCode, forms},
		{"accessToken", s.AccessToken, append(forms, "changes")},
		{"publicToken", s.PublicToken, forms},
		{"afterRedeem", s.AfterRedeem, []string{"", "drop", "hold", "error"}},
	} {
		if !slices.Contains(w.known, w.value) {
			return fmt.Errorf("%s: %q is none of %q", w.name, w.value, w.known)
		}
	}
	for _, place := range s.TokenIn {
		kind, name, _ := strings.Cut(place, " ")
		if place != "bearer" && (kind != "query" && kind != "header" || name == "" || strings.Contains(name, " ")) {
			return fmt.Errorf("tokenIn: %q is none of bearer, query <name>, header <name>", place)
		}
	}
	if s.ExchangeStatus < 200 || s.ExchangeStatus > 299 {
		return fmt.Errorf("exchangeStatus: %d is not between 200 and 299", s.ExchangeStatus)
	}
	for name, status := range map[string]int{"clientRefusal": s.ClientRefusal, "tokenRefusal": s.TokenRefusal} {
		if status < 400 || status > 499 {
			return fmt.Errorf("%s: %d is not between 400 and 499", name, status)
		}
	}
	for area, status := range s.EchoRequest {
		if !slices.Contains(failing, area) || !control.IsStatus(status) {
			return fmt.Errorf("echoRequest: %q: %d is no area, or no status between 200 and 599", area, status)
		}
	}
	return s.Outages.Check(failing...)
}
