// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"maps"
	"slices"
)

// CityLab is the preset of a strict OAuth 2.0 server, without quirks.
const CityLab = "city_lab"

// preset is a vendor's name and how its ways depart from those of city_lab. Paths
// are the vendor's own, so that its addresses differ in scheme and host only.
type preset struct {
	title  string
	change func(*Settings)
}

// Presets returns the names of all presets.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

var presets = map[string]preset{
	CityLab: {"City lab", func(s *Settings) {
		s.ResourceScopes = map[string]string{"measurements": "results.read", "activities": "activity.read", "sleep": "activity.read"}
	}},
	"google_health": {"Google Health", func(s *Settings) {
		const scope = "https://www.googleapis.com/auth/googlehealth."
		s.Paths = Paths{Authorize: "/o/oauth2/v2/auth", Token: "/token", Revoke: "/revoke", Account: "/v4/users/me/identity", Data: "/v4/users/me"}
		s.ClientAuth, s.PKCE, s.MinState = []string{"body"}, "optional", 0
		s.Scopes = []string{scope + "activity_and_fitness.readonly", scope + "sleep.readonly", scope + "health_metrics_and_measurements.readonly"}
		s.Untick, s.Refresh, s.AccountMember = true, "google", "healthUserId"
		s.Revoke, s.RevokeAuth, s.RevokeAll = "query", false, true
		s.ResourceScopes = map[string]string{"activities": s.Scopes[0], "sleep": s.Scopes[1], "measurements": s.Scopes[2]}
	}},
	"garmin": {"Garmin", func(s *Settings) {
		s.Paths = Paths{
			Authorize: "/oauth2Confirm", Token: "/di-oauth2-service/oauth/token", Revoke: "/wellness-api/rest/user/registration",
			Account: "/wellness-api/rest/user/id", Data: "/wellness-api/rest",
		}
		s.ClientAuth, s.Scopes, s.Granted, s.AccessLifetime = []string{"body"}, nil, nil, 86400
		s.AccountMember, s.Revoke, s.RevokeAuth, s.RevokeAll = "userId", "delete", false, true
	}},
	"withings": {"Withings", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth2_user/authorize2", Token: "/v2/oauth2", Revoke: "/v2/oauth2", Data: ""}
		s.ClientAuth, s.PKCE, s.MinState = []string{"body"}, "refused", 1
		s.Scopes, s.ScopeSeparator = []string{"user.info", "user.metrics", "user.activity", "user.sleepevents"}, ","
		s.TokenParams = map[string]string{"action": "requesttoken"}
		s.RefreshParams = s.TokenParams
		s.CodeLifetime, s.AccessLifetime, s.Grace, s.GraceUntilUsed, s.ReuseEnds = 30, 10800, 8*3600, true, false
		s.Envelope, s.AccountIn, s.Revoke, s.RevokeAuth = "withings", "userid", "withings", false
		s.ResourceScopes = map[string]string{"measure": "user.metrics", "activities": "user.activity", "sleep": "user.sleepevents"}
	}},
	"strava": {"Strava", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth/authorize", Token: "/oauth/token", Revoke: "/oauth/revoke", Account: "/api/v3/athlete", Data: "/api/v3"}
		s.ClientAuth, s.PKCE, s.MinState = []string{"body"}, "refused", 0
		s.Scopes, s.ScopeSeparator = []string{"read", "activity:read_all", "profile:read_all"}, ","
		s.Untick, s.Granted, s.AccessLifetime, s.Expires = true, []string{"redirect"}, 21600, "at"
		s.AccountIn, s.AccountNumber, s.Revoke, s.RevokeAll = "athlete.id", true, "form", true
		s.ReuseEnds = false
		s.ResourceScopes = map[string]string{"activities": "activity:read_all"}
	}},
	"polar": {"Polar", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth2/authorization", Token: "/v2/oauth2/token", Revoke: "/v3/users", Register: "/v3/users", Data: "/v3"}
		s.ClientAuth, s.PKCE, s.MinState, s.Scopes = []string{"basic"}, "refused", 0, []string{"accesslink.read_all"}
		s.Refresh, s.AccessLifetime = "none", 10*365*86400
		s.AccountIn, s.AccountNumber, s.Revoke, s.RevokeAuth, s.RevokeAll = "x_user_id", true, "delete", false, true
	}},
	"whoop": {"WHOOP", func(s *Settings) {
		s.Paths = Paths{
			Authorize: "/oauth/oauth2/auth", Token: "/oauth/oauth2/token", Revoke: "/developer/v2/user/access",
			Account: "/developer/v2/user/profile/basic", Data: "/developer/v2",
		}
		s.ClientAuth, s.PKCE = []string{"body"}, "refused"
		s.Scopes, s.OfflineScope = []string{"offline", "read:sleep", "read:workout", "read:profile", "read:cycles", "read:recovery", "read:body_measurement"}, "offline"
		s.RefreshParams = map[string]string{"scope": "offline"}
		s.AccountMember, s.AccountNumber, s.Revoke, s.RevokeAuth = "user_id", true, "delete", false
		s.ResourceScopes = map[string]string{"sleep": "read:sleep", "activities": "read:workout", "measurements": "read:body_measurement"}
	}},
	"oura": {"Oura", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth/authorize", Token: "/oauth/token", Revoke: "/oauth/revoke", Account: "/v2/usercollection/personal_info", Data: "/v2/usercollection"}
		s.PKCE, s.MinState, s.AccessLifetime = "refused", 0, 86400
		s.Scopes, s.Untick = []string{"personal", "daily", "heartrate", "workout", "session", "spo2"}, true
		s.Revoke, s.RevokeAuth = "query", false
		s.ResourceScopes = map[string]string{"sleep": "daily", "activities": "workout", "personal_info": "personal"}
	}},
	"dexcom": {"Dexcom", func(s *Settings) {
		s.Paths = Paths{Authorize: "/v2/oauth2/login", Token: "/v2/oauth2/token", Data: "/v3/users/self"}
		s.ClientAuth, s.PKCE, s.MinState, s.AccessLifetime = []string{"body"}, "refused", 0, 7200
		s.Scopes, s.OfflineScope, s.Revoke, s.AccountMember = []string{"offline_access"}, "offline_access", "", ""
		s.RefreshParams = map[string]string{"redirect_uri": "redirect_uri"}
	}},
	"suunto": {"Suunto", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth/authorize", Token: "/oauth/token", Data: "/v2"}
		s.ClientAuth, s.PKCE, s.MinState, s.Scopes, s.Granted = []string{"basic"}, "refused", 0, nil, nil
		s.Expires, s.Revoke, s.AccessLifetime = "jwt", "", 86400
		s.APIHeaders = map[string]string{"Ocp-Apim-Subscription-Key": "simulated-subscription-key"}
	}},
	"coros": {"COROS", func(s *Settings) {
		s.Paths = Paths{Authorize: "/oauth2/authorize", Token: "/oauth2/accesstoken", Refresh: "/oauth2/refresh-token", Data: "/v2"}
		s.ClientAuth, s.PKCE, s.MinState, s.Scopes, s.Granted = []string{"body"}, "refused", 0, nil, nil
		s.AccountIn, s.Revoke = "openId", ""
	}},
	"huawei": {"Huawei Health", func(s *Settings) {
		s.ClientAuth, s.PKCE, s.MinState = []string{"body"}, "optional", 0
		s.Scopes, s.FirstScope = []string{"openid", "sleep.read", "activity.read"}, "openid"
		s.Refresh, s.Revoke, s.Paths.Account = "google", "", ""
	}},
	"smart": {"St Mary's hospital", func(s *Settings) {
		s.Protocol = SMART
		s.Paths = Paths{Authorize: "/auth/authorize", Token: "/auth/token", Revoke: "/auth/revoke", Data: "/R4"}
		s.ClientAuth = []string{"basic", "none", "private_key_jwt"}
		s.Scopes, s.OfflineScope, s.AccountIn = smartScopes, "offline_access", "patient"
	}},
	"old_lab": {"Old lab", func(s *Settings) {
		s.Protocol = OAuth1
		s.Paths = Paths{
			Authorize: "/oauth1/authorize", RequestToken: "/oauth1/request_token", Token: "/oauth1/access_token",
			Revoke: "/v1/registration", Account: "/v1/me", Data: "/v1",
		}
		s.Scopes, s.Granted, s.Revoke = nil, nil, "delete"
	}},
	"fatsecret": {"FatSecret", func(s *Settings) {
		s.Protocol = OAuth1
		s.Paths = Paths{Authorize: "/oauth/authorize", RequestToken: "/oauth/request_token", Token: "/oauth/access_token", Data: "/rest"}
		s.Scopes, s.Granted, s.Revoke, s.AccountMember = nil, nil, "", ""
		s.OAuth1.Methods, s.OAuth1.Monotonic, s.OAuth1.NoHeader = []string{"HMAC-SHA1"}, true, true
	}},
}
