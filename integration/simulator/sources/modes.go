// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Mode is a way to fail, by name.
type Mode struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	change func(*Settings)
}

// Modes returns all of them.
func Modes() []Mode { return slices.Clone(modes) }

var modes = []Mode{
	{"400", "Codes and refresh tokens are answered 400 without a word of OAuth.", tokens(control.Outage{
		Status: http.StatusBadRequest, Header: jsonHeader, Body: `{"message":"try again later"}`,
	})},
	{"401", "They are answered 401 with a page.", tokens(control.Outage{Status: http.StatusUnauthorized, Header: htmlHeader, Body: "<!DOCTYPE html><title>401</title>"})},
	{"invalid_client", "They are answered invalid_client.", tokens(control.Outage{
		Status: http.StatusUnauthorized, Header: jsonHeader, Body: `{"error":"invalid_client"}`,
	})},
	{"invalid_grant", "They are answered invalid_grant, whoever asks.", tokens(control.Outage{
		Status: http.StatusBadRequest, Header: jsonHeader, Body: `{"error":"invalid_grant"}`,
	})},
	{"429", "They are answered 429 with Retry-After.", tokens(control.Outage{
		Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"},
	})},
	{"500", "They are answered 500.", tokens(control.Outage{Status: http.StatusInternalServerError})},
	{"garbage", "They are answered 200 with a page.", tokens(control.Outage{Status: http.StatusOK, Header: htmlHeader, Body: "<!DOCTYPE html><title>Maintenance</title>"})},
	{"slow", "They are not answered until the mode ends.", tokens(control.Outage{Hold: true})},
	{"down", "Their connections end at once.", tokens(control.Outage{Reset: true})},
	{"spent_drop", "A refresh token is spent, and the connection ends.", answering("drop")},
	{"spent_hold", "A refresh token is spent, and not answered until the mode ends.", answering("hold")},
	{"spent_500", "A refresh token is spent, and answered 500.", answering("error")},
	{"spent_truncated", "A refresh token is spent, and the answer breaks off.", answering("truncated")},
	{"spent_html", "A refresh token is spent, and answered 200 with a page.", answering("html")},
	{"spent_huge", "A refresh token is spent, and answered with 2 MiB.", answering("huge")},
	{"data_401", "The API answers 401, whatever the token.", area(areaData, control.Outage{Status: http.StatusUnauthorized})},
	{"data_429", "The API answers 429 with Retry-After.", area(areaData, control.Outage{
		Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"},
	})},
	{"data_500", "The API answers 500.", area(areaData, control.Outage{Status: http.StatusInternalServerError})},
	{"revoke_500", "The end of a consent is answered 500.", area(areaRevoke, control.Outage{Status: http.StatusInternalServerError})},
	{"revoke_slow", "The end of a consent is not answered until the mode ends.", area(areaRevoke, control.Outage{Hold: true})},
	{"register_500", "The call without which there is no data is answered 500.", area(areaRegister, control.Outage{Status: http.StatusInternalServerError})},
	{"account_500", "Whose a token is is answered 500.", area(areaAccount, control.Outage{Status: http.StatusInternalServerError})},
	{"discovery_500", "SMART's configuration is answered 500.", area(areaDiscovery, control.Outage{Status: http.StatusInternalServerError})},
}

var (
	jsonHeader = map[string]string{"Content-Type": "application/json"}
	htmlHeader = map[string]string{"Content-Type": "text/html; charset=utf-8"}
)

func tokens(o control.Outage) func(*Settings) {
	return func(s *Settings) {
		for _, name := range []string{areaRequestToken, areaCode, areaRefresh} {
			area(name, o)(s)
		}
	}
}

func area(name string, o control.Outage) func(*Settings) {
	return func(s *Settings) {
		if s.Outages == nil {
			s.Outages = make(control.Outages)
		}
		s.Outages[name] = o
	}
}

func answering(how string) func(*Settings) { return func(s *Settings) { s.Answer = how } }

// SetMode turns all failures off but those of the named modes; without a name, the
// vendor works. Its ways stay as they are. What is held back goes on, unless it is to
// be held back again.
func (v *Vendor) SetMode(names ...string) error {
	return v.settings.Change(func(s *Settings) error {
		s.Answer, s.Outages, s.Modes = "", nil, names
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
