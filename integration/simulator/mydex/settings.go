// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Settings are what can be changed while the simulator runs. Unless said
// otherwise, a zero value turns the thing off.
type Settings struct {
	// Scopes are what the client may ask for. Default: those of [Options].
	Scopes []string `json:"scopes"`
	// TokenLifetime is in seconds, and what expires_in says. Default: 3599.
	TokenLifetime int `json:"tokenLifetime"`
	// TokenError is an OAuth error code to answer instead, such as
	// unauthorized_client, with the status TokenErrorStatus. Default: 400.
	TokenError       string `json:"tokenError"`
	TokenErrorStatus int    `json:"tokenErrorStatus"`
	// LegacyErrors adds the keys error_hint, error_debug and status_code to
	// OAuth errors, as the server's older mode does.
	LegacyErrors bool `json:"legacyErrors"`
	// TokenAnswer replaces the token endpoint's good answer by a bad one: html,
	// empty, huge, expires_absent, expires_zero, expires_negative,
	// expires_string, crlf_token, wrong_type, redirect, wider_scope or
	// narrower_scope.
	TokenAnswer string `json:"tokenAnswer"`

	// AccessDenied chooses the body of 401: overview, which blames the absence
	// of a bearer token, or spec, which calls the token invalid or expired. The
	// platform's documents have both. Default: overview.
	AccessDenied string `json:"accessDenied"`
	// MemberRefusal is the status for uid, con_id and key that do not belong
	// together: 400, 401 or 403. Which one the platform answers is not
	// documented. Default: 401.
	MemberRefusal int `json:"memberRefusal"`
	// EchoAddress is the status of a page that repeats the address and the
	// headers of the call, instead of the API's answer; 0: the API answers.
	EchoAddress int `json:"echoAddress"`
	// UnderscoreHeaders takes Connection_Token for Connection-Token, as PHP
	// does behind web servers that let underscores pass.
	UnderscoreHeaders bool `json:"underscoreHeaders"`

	// LinkLifetime is how long a member's link is good, in seconds; 0: for
	// ever. Default: 300.
	LinkLifetime int `json:"linkLifetime"`
	// ReopenLinks lets a link be opened until somebody has decided; without it,
	// it opens once.
	ReopenLinks bool `json:"reopenLinks"`
	// AnyMember lets a link that was made for one MydexID be used by another
	// member.
	AnyMember bool `json:"anyMember"`
	// KeepKey keeps the key of a member who is connected already and connects
	// for the first time again; without it, they get a new one. An update
	// always keeps it.
	KeepKey bool `json:"keepKey"`

	// Callback says when the subscriber is called: before the browser is sent
	// back; held, until [Mydex.Deliver]; or never. Default: before.
	Callback string `json:"callback"`
	// CallbackEncoding is form or json. Default: form.
	CallbackEncoding string `json:"callbackEncoding"`
	// CallbackCopies is how often each callback is sent. Default: 1.
	CallbackCopies int `json:"callbackCopies"`
	// CallbackAuthentication makes the Authentication header wrong, absent,
	// upper (case) or twice there. It concerns notifications as well.
	CallbackAuthentication string `json:"callbackAuthentication"`
	// CallbackConnectionID makes connection_id name another nid or another uid,
	// or be absent. It concerns notifications as well.
	CallbackConnectionID string `json:"callbackConnectionID"`
	// CallbackOmits are fields that callbacks leave out, such as linking_token.
	CallbackOmits []string `json:"callbackOmits"`
	// DeliverReversed delivers what was held back latest first.
	DeliverReversed bool `json:"deliverReversed"`
	// BareNotifications go without the Authentication header; whether the
	// platform sends it with them is not documented.
	BareNotifications bool `json:"bareNotifications"`

	// Outages by area: token, pdx, setup, pages.
	Outages control.Outages `json:"outages"`
}

func defaultSettings() Settings {
	return Settings{
		Scopes:           []string{ScopePDX},
		TokenLifetime:    3599,
		AccessDenied:     "overview",
		MemberRefusal:    401,
		LinkLifetime:     300,
		Callback:         "before",
		CallbackEncoding: "form",
		CallbackCopies:   1,
	}
}

// Settings returns a copy of the current settings.
func (m *Mydex) Settings() Settings { return m.settings.Get() }

// Set changes the settings. It panics on values that mean nothing, so that a
// test with a misspelt switch cannot pass.
func (m *Mydex) Set(change func(*Settings)) {
	if err := m.settings.Change(func(s *Settings) error { change(s); return nil }); err != nil {
		panic("mydex: " + err.Error())
	}
}

func (s Settings) clone() Settings {
	s.Scopes = slices.Clone(s.Scopes)
	s.CallbackOmits = slices.Clone(s.CallbackOmits)
	s.Outages = s.Outages.Clone()
	return s
}

func (s *Settings) validate() error {
	words := []struct {
		name, value string
		known       []string
	}{
		{"tokenAnswer", s.TokenAnswer, append([]string{""}, slices.Sorted(maps.Keys(tokenAnswers))...)},
		{"accessDenied", s.AccessDenied, slices.Sorted(maps.Keys(accessDenied))},
		{"callback", s.Callback, []string{"before", "held", "never"}},
		{"callbackEncoding", s.CallbackEncoding, []string{"form", "json"}},
		{"callbackAuthentication", s.CallbackAuthentication, []string{"", "wrong", "absent", "upper", "twice"}},
		{"callbackConnectionID", s.CallbackConnectionID, []string{"", "nid", "uid", "absent"}},
	}
	for _, w := range words {
		if !slices.Contains(w.known, w.value) {
			return fmt.Errorf("%s: %q is none of %q", w.name, w.value, w.known)
		}
	}
	if !slices.Contains([]int{400, 401, 403}, s.MemberRefusal) {
		return fmt.Errorf("memberRefusal: %d is none of 400, 401, 403", s.MemberRefusal)
	}
	if s.EchoAddress != 0 && !control.IsStatus(s.EchoAddress) {
		return fmt.Errorf("echoAddress: %d is no status between 200 and 599", s.EchoAddress)
	}
	if s.TokenErrorStatus != 0 && !control.IsStatus(s.TokenErrorStatus) {
		return fmt.Errorf("tokenErrorStatus: %d is no status between 200 and 599", s.TokenErrorStatus)
	}
	if s.CallbackCopies < 1 || s.CallbackCopies > 100 {
		return fmt.Errorf("callbackCopies: %d is not between 1 and 100; to send none, set callback to never", s.CallbackCopies)
	}
	return s.Outages.Check(areaToken, areaPDX, areaSetup, areaPages)
}
