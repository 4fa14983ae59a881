// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The protocols by which people consent.
const (
	OAuth2 = "oauth2"
	OAuth1 = "oauth1"
	SMART  = "smart" // OAuth 2.0 with discovery
)

// Settings are what can be changed while a vendor runs: its ways, which a preset has
// set, and how it fails. Unless said otherwise, a zero value turns the thing off.
type Settings struct {
	Preset   string `json:"preset"` // that it began with; to be read only
	Protocol string `json:"protocol"`
	Paths    Paths  `json:"paths"`

	// ClientAuth are the ways in which clients may prove who they are: basic, body,
	// none, private_key_jwt. A client without a secret or key is public.
	ClientAuth []string `json:"clientAuth"`
	// PKCE is required (S256), optional, or refused: an authorize request with a
	// code_challenge fails.
	PKCE string `json:"pkce"`
	// MinState is how many characters a state has at least; 0: it may be absent.
	MinState int `json:"minState"`
	// Iss puts this as iss into the redirect (RFC 9207); base stands for the address
	// at which the browser reached the page.
	Iss string `json:"iss"`

	// Scopes are those that there are, in order; none: the parameter is ignored.
	Scopes         []string `json:"scopes"`
	ScopeSeparator string   `json:"scopeSeparator"` // default: a space
	FirstScope     string   `json:"firstScope"`     // that must stand first
	// Untick lets people give less than what was asked for.
	Untick bool `json:"untick"`
	// Granted are the places where what was given is told: reply, redirect.
	Granted []string `json:"granted"`
	// Wider are scopes that are given beyond what was asked for.
	Wider []string `json:"wider"`

	// AuthorizeParams, TokenParams and RefreshParams are parameters that must be
	// there; redirect_uri stands for the consent's own.
	AuthorizeParams map[string]string `json:"authorizeParams"`
	TokenParams     map[string]string `json:"tokenParams"`
	RefreshParams   map[string]string `json:"refreshParams"`

	CodeLifetime   int `json:"codeLifetime"`   // in seconds
	AccessLifetime int `json:"accessLifetime"` // in seconds
	// Refresh is rotates, kept, none or google: kept, and given only with
	// access_type=offline, at the first consent or with prompt=consent.
	Refresh string `json:"refresh"`
	// OfflineScope is the scope without which there is no refresh token.
	OfflineScope string `json:"offlineScope"`
	// Grace is how many seconds a replaced refresh token is taken, GraceUntilUsed
	// until the access token that came with the next one is used, if that is sooner.
	Grace          int  `json:"grace"`
	GraceUntilUsed bool `json:"graceUntilUsed"`
	// ReuseEnds ends the consent of a replaced refresh token that arrives.
	ReuseEnds bool `json:"reuseEnds"`
	// RefreshEndsAccess ends the access tokens before.
	RefreshEndsAccess bool `json:"refreshEndsAccess"`

	// Envelope is the form of the token endpoint's answers: withings has all in body,
	// and 200 with a status in the body for errors; fitbit has lists of errors.
	Envelope string `json:"envelope"`
	// Expires is how an access token's end is told: in (default), string, ms, at, jwt
	// or none.
	Expires string `json:"expires"`
	// AccountIn is the path of the account's ID in the reply to a code; empty: it is
	// not told there. AccountNumber has it as a number.
	AccountIn     string `json:"accountIn"`
	AccountNumber bool   `json:"accountNumber"`
	// AccountMember is the path of the ID in what Paths.Account answers.
	AccountMember string `json:"accountMember"`

	// Revoke is form (RFC 7009), query (the token in the query), delete (with the
	// bearer token, perhaps with the account at the end of the path) or withings.
	Revoke string `json:"revoke"`
	// RevokeAuth has the client prove who it is.
	RevokeAuth bool `json:"revokeAuth"`
	// RevokeAll ends all of the account's consents for the client.
	RevokeAll bool `json:"revokeAll"`

	// ResourceScopes are the scopes that resources need, by the path's last segment.
	ResourceScopes map[string]string `json:"resourceScopes"`
	// APIHeaders must come with each data call.
	APIHeaders map[string]string `json:"apiHeaders"`

	// FHIRBase is the FHIR server's address as clients spell it. Default: where the
	// browser reached the page, and Paths.Data.
	FHIRBase  string         `json:"fhirBase"`
	Discovery Discovery      `json:"discovery"`
	OAuth1    OAuth1Settings `json:"oauth1"`

	// Modes are the names of the modes that were set last. [Vendor.SetMode] sets
	// them; here they change nothing.
	Modes []string `json:"modes"`
	// Answer replaces the good answer to a refresh token that has been spent: drop
	// ends the connection, hold keeps it waiting until the setting changes, error
	// answers 500, truncated breaks off, html and huge are none.
	Answer string `json:"answer"`
	// Outages by area.
	Outages control.Outages `json:"outages"`
}

// Paths are where things are. Data is a prefix.
type Paths struct {
	Authorize    string `json:"authorize"`
	RequestToken string `json:"requestToken"`
	Token        string `json:"token"`
	Refresh      string `json:"refresh"` // default: Token
	Revoke       string `json:"revoke"`
	Account      string `json:"account"`
	Register     string `json:"register"` // a call without which there is no data
	Data         string `json:"data"`
}

func defaultSettings() Settings {
	return Settings{
		Protocol: OAuth2,
		Paths: Paths{
			Authorize: "/oauth2/authorize", RequestToken: "/oauth1/request_token", Token: "/oauth2/token",
			Revoke: "/oauth2/revoke", Account: "/v1/me", Data: "/v1",
		},
		ClientAuth: []string{"basic", "body"}, PKCE: "required", MinState: 8,
		Scopes: []string{"results.read", "activity.read", "profile.read"}, Granted: []string{"reply"},
		CodeLifetime: 60, AccessLifetime: 3600, Refresh: "rotates", ReuseEnds: true,
		AccountMember: "id", Revoke: "form", RevokeAuth: true,
		OAuth1: OAuth1Settings{Methods: []string{"HMAC-SHA1", "HMAC-SHA256"}, Window: 300},
	}
}

// Settings returns a copy of the current settings.
func (v *Vendor) Settings() Settings { return v.settings.Get() }

// Set changes the settings. It panics on values that mean nothing, so that a test
// with a misspelt switch cannot pass.
func (v *Vendor) Set(change func(*Settings)) {
	if err := v.settings.Change(func(s *Settings) error { change(s); return nil }); err != nil {
		panic("sources: " + err.Error())
	}
}

func (s Settings) clone() Settings {
	for _, list := range []*[]string{&s.ClientAuth, &s.Scopes, &s.Granted, &s.Wider, &s.Modes, &s.OAuth1.Methods} {
		*list = slices.Clone(*list)
	}
	for _, m := range []*map[string]string{&s.AuthorizeParams, &s.TokenParams, &s.RefreshParams, &s.ResourceScopes, &s.APIHeaders} {
		*m = maps.Clone(*m)
	}
	s.Outages = s.Outages.Clone()
	return s
}

// failing are the areas that can fail by themselves.
var failing = []string{
	areaPages, areaRequestToken, areaCode, areaRefresh, areaRevoke, areaDiscovery, areaAccount, areaRegister, areaData,
}

func (s *Settings) validate() error {
	for _, w := range []struct {
		name   string
		values []string
		known  []string
	}{
		{"protocol", []string{s.Protocol}, []string{OAuth2, OAuth1, SMART}},
		{"clientAuth", s.ClientAuth, []string{"basic", "body", "none", "private_key_jwt"}},
		{"pkce", []string{s.PKCE}, []string{"required", "optional", "refused"}},
		{"granted", s.Granted, []string{"reply", "redirect"}},
		{"refresh", []string{s.Refresh}, []string{"rotates", "kept", "none", "google"}},
		{"envelope", []string{s.Envelope}, []string{"", "withings", "fitbit"}},
		{"expires", []string{s.Expires}, []string{"", "in", "string", "ms", "at", "jwt", "none"}},
		{"revoke", []string{s.Revoke}, []string{"", "form", "query", "delete", "withings"}},
		{"answer", []string{s.Answer}, []string{"", "drop", "hold", "error", "truncated", "html", "huge"}},
		{"oauth1.methods", s.OAuth1.Methods, []string{"HMAC-SHA1", "HMAC-SHA256"}},
		{"oauth1.denied", []string{s.OAuth1.Denied}, []string{"", "denied", "error"}},
	} {
		for _, value := range w.values {
			if !slices.Contains(w.known, value) {
				return fmt.Errorf("%s: %q is none of %q", w.name, value, w.known)
			}
		}
	}
	if s.CodeLifetime <= 0 || s.AccessLifetime <= 0 {
		return fmt.Errorf("codeLifetime, accessLifetime: %d, %d: want seconds, 1 at least", s.CodeLifetime, s.AccessLifetime)
	}
	if s.Paths.Refresh == "" {
		s.Paths.Refresh = s.Paths.Token
	}
	return s.Outages.Check(failing...)
}
