// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"maps"
	"slices"
)

// The client ids the vendor's samples use for delegated tokens.
const (
	ClientID       = "MyDataHelps.DelegatedParticipant"
	ClientIDLegacy = "RKStudio.DelegatedParticipant"
	ClientIDWeb    = "MyDataHelps-Web.DelegatedParticipant"
)

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
	// StrictReplay refuses an assertion whose jti was used before. Default: true.
	StrictReplay bool `json:"strictReplay"`
	// ClientIDs are accepted for delegated tokens. Default: [ClientID],
	// [ClientIDLegacy] and [ClientIDWeb].
	ClientIDs []string `json:"clientIDs"`
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

	// EnforceScopes refuses delegated calls beyond the token's scopes. Default: true.
	EnforceScopes bool `json:"enforceScopes"`
	// MissingScopeStatus is the answer to such a call. Default: 403.
	MissingScopeStatus int `json:"missingScopeStatus"`
	// KindMismatchStatus, 401 or 403, answers a participant token on the
	// administrative API and a service token on the delegated one. Default: 401.
	KindMismatchStatus int `json:"kindMismatchStatus"`
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
	Outages map[string]Outage `json:"outages"`
}

// Outage is how an area fails. The parts combine: hold, then delay, then reset
// or answer. An Outage with neither Reset nor Status only slows the area down.
type Outage struct {
	// Hold makes requests wait until it is turned off or the client leaves.
	Hold bool `json:"hold,omitempty"`
	// Delay is in milliseconds.
	Delay int `json:"delay,omitempty"`
	// Reset drops the connection without an answer.
	Reset bool `json:"reset,omitempty"`
	// Status is answered instead of the real answer.
	Status int `json:"status,omitempty"`
	// Header goes with Status.
	Header map[string]string `json:"header,omitempty"`
	// Body goes with Status. Default: {"message":"…"}.
	Body string `json:"body,omitempty"`
}

func defaultSettings() Settings {
	return Settings{
		ServiceTokenLifetime:     300,
		ParticipantTokenLifetime: 3600,
		MaxAssertionLifetime:     300,
		StrictReplay:             true,
		ClientIDs:                []string{ClientID, ClientIDLegacy, ClientIDWeb},
		EnforceScopes:            true,
		KindMismatchStatus:       401,
		MissingScopeStatus:       403,
		AdminQuota:               1000,
		DelegatedQuota:           500,
	}
}

// epoch is the time between two changes of the settings; over is closed when it ends.
type epoch struct {
	Settings
	over chan struct{}
}

// Settings returns a copy of the current settings.
func (m *MyDataHelps) Settings() Settings { return m.settings.Load().clone() }

// Set changes the settings. It panics on values that mean nothing, so that a
// test with a misspelt switch cannot pass.
func (m *MyDataHelps) Set(change func(*Settings)) {
	err := m.trySet(func(s *Settings) error { change(s); return nil })
	if err != nil {
		panic("simulator: " + err.Error())
	}
}

func (m *MyDataHelps) trySet(change func(*Settings) error) error {
	m.settingsMu.Lock()
	defer m.settingsMu.Unlock()
	old := m.settings.Load()
	s := old.clone()
	if err := change(&s); err != nil {
		return err
	}
	if err := s.validate(); err != nil {
		return err
	}
	// Cloned again: the caller may hold on to what it was given.
	m.settings.Store(&epoch{Settings: s.clone(), over: make(chan struct{})})
	close(old.over)
	return nil
}

func (s Settings) clone() Settings {
	s.ClientIDs = slices.Clone(s.ClientIDs)
	s.RefusedParticipants = slices.Clone(s.RefusedParticipants)
	s.Unauthorized = slices.Clone(s.Unauthorized)
	s.UnauthorizedPaths = slices.Clone(s.UnauthorizedPaths)
	s.Outages = maps.Clone(s.Outages)
	for area, o := range s.Outages {
		o.Header = maps.Clone(o.Header)
		s.Outages[area] = o
	}
	return s
}

func (s *Settings) validate() error {
	if _, ok := tokenAnswers[s.TokenAnswer]; !ok && s.TokenAnswer != "" {
		return fmt.Errorf("tokenAnswer: unknown answer %q; use one of %v", s.TokenAnswer, slices.Sorted(maps.Keys(tokenAnswers)))
	}
	if !slices.Contains([]string{"", "service", "delegated", "both"}, s.TokenAnswerGrant) {
		return fmt.Errorf("tokenAnswerGrant: %q is none of service, delegated, both", s.TokenAnswerGrant)
	}
	if s.KindMismatchStatus != 401 && s.KindMismatchStatus != 403 {
		return fmt.Errorf("kindMismatchStatus: %d is neither 401 nor 403", s.KindMismatchStatus)
	}
	if s.MissingScopeStatus != 401 && s.MissingScopeStatus != 403 {
		return fmt.Errorf("missingScopeStatus: %d is neither 401 nor 403", s.MissingScopeStatus)
	}
	if s.TokenErrorStatus != 0 && !isStatus(s.TokenErrorStatus) {
		return fmt.Errorf("tokenErrorStatus: %d is no status between 200 and 599", s.TokenErrorStatus)
	}
	for area, o := range s.Outages {
		if area != areaToken && area != areaAdmin && area != areaDelegated {
			return fmt.Errorf("outages: %q is none of token, admin, delegated", area)
		}
		if o.Status != 0 && !isStatus(o.Status) {
			return fmt.Errorf("outages: %s: status %d is not between 200 and 599", area, o.Status)
		}
	}
	return nil
}

func isStatus(code int) bool { return code >= 200 && code <= 599 }
