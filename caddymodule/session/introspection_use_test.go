// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"testing"
	"time"
)

// TestC33_OtherTokens protects people from whoever finds a token of theirs that is
// no access token: as issuers write it, nothing but an access token is a session.
func TestC33_OtherTokens(t *testing.T) {
	for claims, want := range map[string]string{
		``:                             "",
		`"token_use":"access_token"`:   "",
		`"token_use":"access"`:         "",
		`"token_type":"Bearer"`:        "",
		`"token_type":"access_token"`:  "",
		`"token_type":"N_A"`:           "",
		`"typ":"Bearer"`:               "",
		`"typ":"at+jwt"`:               "",
		`"typ":"application/at+jwt"`:   "",
		`"token_type":"bearer","x":1`:  "",
		`"token_use":"","typ":"JWT"`:   "",
		`"token_use":null,"typ":null`:  "",
		`"token_use":"refresh_token"`:  required,
		`"token_use":"Refresh_Token"`:  required,
		`"token_use":"refresh"`:        required,
		`"token_use":"id"`:             required,
		`"token_use":"something new"`:  required,
		`"token_type":"refresh_token"`: required,
		`"token_type":"Refresh"`:       required,
		`"token_type":"id_token"`:      required,
		`"token_type":"urn:ietf:params:oauth:token-type:refresh_token"`:   required,
		`"typ":"Refresh","token_type":"Bearer"`:                           required,
		`"typ":"Offline"`:                                                 required,
		`"typ":"ID"`:                                                      required,
		`"typ":"logout+jwt"`:                                              required,
		`"typ":"application/logout+jwt"`:                                  required,
		`"token_use":"access_token","token_type":"Bearer","typ":"rt+jwt"`: required,
		`"token_use":1`:                                                   unknowable,
		`"token_type":{}`:                                                 unknowable,
		`"typ":true`:                                                      unknowable,
	} {
		body := `{"active":true,"sub":"alice","iss":"` + testIssuer + `","aud":"app","exp":` + itoa(time.Now().Unix()+600)
		if claims != "" {
			body += "," + claims
		}
		s, err := introspection((&fakeServer{body: body + "}"}).client()).Verify(t.Context(), bearer(askedCredential))
		if got := outcome(t, s, err); got != want {
			t.Errorf("%s: %q, want %q: %v", claims, got, want, errors.Unwrap(err))
		}
	}
}

// TestC33_AnyAudience protects users of an issuer that names no audience: with no
// audience to look for any is taken, and a refresh token still is not.
func TestC33_AnyAudience(t *testing.T) {
	for claims, want := range map[string]string{`"aud":"other"`: "", `"x":1`: "", `"token_use":"refresh_token"`: required} {
		i := introspection((&fakeServer{body: `{"active":true,"sub":"alice","iss":"` + testIssuer + `",` + claims + `}`}).client())
		i.Audiences = nil
		s, err := i.Verify(t.Context(), bearer(askedCredential))
		if got := outcome(t, s, err); got != want {
			t.Errorf("%s: %q, want %q: %v", claims, got, want, errors.Unwrap(err))
		}
	}
}

// TestC33_AudienceClaim protects from tokens of other clients where the issuer
// names the client, and no audience.
func TestC33_AudienceClaim(t *testing.T) {
	for claims, want := range map[string]string{
		`"client_id":"app"`:                             "",
		`"client_id":["x","app2"]`:                      "",
		`"client_id":"App"`:                             required,
		`"client_id":"other","aud":"app"`:               required,
		`"client_id":"app","token_use":"refresh_token"`: required,
		`"aud":"app"`:                                   required,
		`"azp":"app"`:                                   required,
		`"client_id":""`:                                required,
		`"client_id":null`:                              required,
		`"client_id":"other","client_id":"app"`:         unknowable,
		`"client_id":1`:                                 unknowable,
		`"client_id":{"app":1}`:                         unknowable,
	} {
		i := introspection((&fakeServer{body: `{"active":true,"sub":"alice","iss":"` + testIssuer + `",` + claims + `}`}).client())
		i.AudienceClaim = "client_id"
		s, err := i.Verify(t.Context(), bearer(askedCredential))
		if got := outcome(t, s, err); got != want {
			t.Errorf("%s: %q, want %q: %v", claims, got, want, errors.Unwrap(err))
		}
	}
}
