// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The client ids the vendor's samples use for delegated tokens.
const (
	ClientID       = "MyDataHelps.DelegatedParticipant"
	ClientIDLegacy = "RKStudio.DelegatedParticipant"
	ClientIDWeb    = "MyDataHelps-Web.DelegatedParticipant"
)

var clientIDs = []string{ClientID, ClientIDLegacy, ClientIDWeb}

// Settings are what can be changed while the simulator runs. Unless said
// otherwise, a zero value turns the thing off.
type Settings struct {
	// ServiceTokenLifetime is in seconds. Default: 300.
	ServiceTokenLifetime int `json:"serviceTokenLifetime"`
	// ParticipantTokenLifetime is in seconds. Default: 3600.
	ParticipantTokenLifetime int `json:"participantTokenLifetime"`

	// ClockSkew is by how many seconds the issuer's clock is ahead (negative:
	// behind). Assertions are judged by that clock, and the Date header of the
	// token endpoint shows it.
	ClockSkew int `json:"clockSkew"`
	// MaxAssertionLifetime is how far ahead exp may be, in seconds. Default: 300.
	MaxAssertionLifetime int `json:"maxAssertionLifetime"`
	// RefusedParticipants are the IDs the token endpoint refuses with
	// invalid_grant although they are active.
	RefusedParticipants []string `json:"refusedParticipants"`

	// TokenAnswer replaces the token endpoint's good answer by a bad one:
	// html, empty, huge, expires_absent, expires_zero, expires_negative,
	// expires_string, expires_1e18, crlf_token, nul_token, wrong_type,
	// redirect, wider_scope or duplicate_keys.
	TokenAnswer string `json:"tokenAnswer"`
	// TokenError is an OAuth error code to answer instead, such as invalid_client.
	TokenError string `json:"tokenError"`
	// TokenErrorStatus is the status of TokenError. Default: 400.
	TokenErrorStatus int `json:"tokenErrorStatus"`
	// TokenAnswerGrant is the grant that TokenAnswer and TokenError hit:
	// service, delegated or both. Default: both.
	TokenAnswerGrant string `json:"tokenAnswerGrant"`

	// Unauthorized are the participant IDs whose delegated calls get 401
	// whatever the token.
	Unauthorized []string `json:"unauthorized"`
	// UnauthorizedPaths are paths of the delegated API that get 401 whatever
	// the token, such as /api/v1/delegated/project.
	UnauthorizedPaths []string `json:"unauthorizedPaths"`

	// AdminQuota is requests per hour for the project. Default: 1000; 0: no limit.
	AdminQuota int `json:"adminQuota"`
	// DelegatedQuota is requests per hour and participant. Default: 500; 0: no limit.
	DelegatedQuota int `json:"delegatedQuota"`

	// ListFilterParam names a query parameter by which the participant list is
	// filtered. Empty: the list ignores every filter.
	ListFilterParam string `json:"listFilterParam"`
	// ListFilterField is the custom field that ListFilterParam is compared with.
	ListFilterField string `json:"listFilterField"`
	// CaseInsensitiveLookup makes Get Participant find AB for ab, as a
	// database with a case-insensitive collation does.
	CaseInsensitiveLookup bool `json:"caseInsensitiveLookup"`
	// LookupByID makes Get Participant accept the participant's ID as well.
	LookupByID bool `json:"lookupByID"`

	// Outages by area: token, admin, delegated.
	Outages control.Outages `json:"outages"`
}

// Outage is how an area fails.
type Outage = control.Outage

func defaultSettings() Settings {
	return Settings{
		ServiceTokenLifetime:     300,
		ParticipantTokenLifetime: 3600,
		MaxAssertionLifetime:     300,
		AdminQuota:               1000,
		DelegatedQuota:           500,
	}
}

// Settings returns a copy of the current settings.
func (m *MyDataHelps) Settings() Settings { return m.settings.Get() }

// Set changes the settings. It panics on values that mean nothing, so that a
// test with a misspelt switch cannot pass.
func (m *MyDataHelps) Set(change func(*Settings)) {
	if err := m.settings.Change(func(s *Settings) error { change(s); return nil }); err != nil {
		panic("simulator: " + err.Error())
	}
}

func (s Settings) clone() Settings {
	s.RefusedParticipants = slices.Clone(s.RefusedParticipants)
	s.Unauthorized = slices.Clone(s.Unauthorized)
	s.UnauthorizedPaths = slices.Clone(s.UnauthorizedPaths)
	s.Outages = s.Outages.Clone()
	return s
}

func (s *Settings) validate() error {
	if _, ok := tokenAnswers[s.TokenAnswer]; !ok && s.TokenAnswer != "" {
		return fmt.Errorf("tokenAnswer: unknown answer %q; use one of %v", s.TokenAnswer, slices.Sorted(maps.Keys(tokenAnswers)))
	}
	if !slices.Contains([]string{"", "service", "delegated", "both"}, s.TokenAnswerGrant) {
		return fmt.Errorf("tokenAnswerGrant: %q is none of service, delegated, both", s.TokenAnswerGrant)
	}
	if s.TokenErrorStatus != 0 && !control.IsStatus(s.TokenErrorStatus) {
		return fmt.Errorf("tokenErrorStatus: %d is no status between 200 and 599", s.TokenErrorStatus)
	}
	return s.Outages.Check(areaToken, areaAdmin, areaDelegated)
}
