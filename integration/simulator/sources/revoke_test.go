// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"net/url"
	"testing"
)

// A client ends a consent by either token, and only its own (RFC 7009).
func TestRevoke(t *testing.T) {
	kind := "Content-Type: application/x-www-form-urlencoded"
	for _, which := range []string{"access_token", "refresh_token"} {
		v := newVendor(t, CityLab)
		first, second := v.connect(), v.connect()
		form := url.Values{"token": {first.text(which)}}.Encode()
		if r := v.send(http.MethodPost, "/oauth2/revoke", form, kind); r.status != http.StatusUnauthorized {
			t.Errorf("%s: without the client: status %d", which, r.status)
		}
		if r := v.send(http.MethodPost, "/oauth2/revoke", form, kind, basicHeader(otherClient, "another")); r.status != http.StatusOK || v.Counts().Revoked != 0 {
			t.Errorf("%s: another client: status %d", which, r.status)
		}
		if r := v.send(http.MethodPost, "/oauth2/revoke", form, kind, basicHeader(clientID, clientSecret)); r.status != http.StatusOK || v.Counts().Revoked != 1 {
			t.Errorf("%s: %s", which, r.body)
		}
		if r := v.refresh(first.text("refresh_token")); r.text("error") != "invalid_grant" {
			t.Errorf("%s: afterwards: %s", which, r.body)
		}
		if r := v.refresh(second.text("refresh_token")); r.status != http.StatusOK {
			t.Errorf("%s: another consent of the account: %s", which, r.body)
		}
		if r := v.send(http.MethodPost, "/oauth2/revoke", "token=x", kind, basicHeader(clientID, clientSecret)); r.status != http.StatusOK {
			t.Errorf("%s: an unknown token is an error: %s", which, r.body)
		}
	}
}

// The ways of vendors that do not follow RFC 7009.
func TestRevokeQuirks(t *testing.T) {
	for preset, request := range map[string][2]string{
		"oura":          {http.MethodPost, "/oauth/revoke?access_token="},
		"google_health": {http.MethodPost, "/revoke?token="},
		"whoop":         {http.MethodDelete, "/developer/v2/user/access"},
		"garmin":        {http.MethodDelete, "/wellness-api/rest/user/registration"},
	} {
		v := newVendor(t, preset)
		access := v.connect().text("access_token")
		target, header := request[1], "X: x"
		if request[0] == http.MethodPost {
			target += url.QueryEscape(access)
		} else {
			header = "Authorization: Bearer " + access
		}
		if r := v.send(request[0], target, "", header); r.status/100 != 2 || v.Counts().Revoked != 1 {
			t.Errorf("%s: status %d, %s", preset, r.status, r.body)
		}
		if g := v.Grants(); len(g) != 1 || !g[0].Ended {
			t.Errorf("%s: %+v", preset, g)
		}
		if request[0] == http.MethodDelete {
			if r := v.send(request[0], target, "", header); r.status != http.StatusUnauthorized {
				t.Errorf("%s: again: status %d", preset, r.status)
			}
		}
	}
}
