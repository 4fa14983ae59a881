// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strings"
)

// refreshTokenUses are the words by which issuers mark refresh tokens, in lower case.
var refreshTokenUses = []string{"refresh", "refresh_token", "refresh-token", "rt", "rt+jwt", "offline", "offline_access"}

// otherTokenUses are the words for the other tokens that are not for calling an API, in
// lower case: `token_use` of Hydra, dex and Cognito, and `typ` of Keycloak. An ID token
// tells one app who has signed in to it.
var otherTokenUses = []string{
	"id", "id_token", "id_token+jwt", "logout", "logout_token", "logout+jwt", "backchannel-logout",
	"code", "authorization_code", "auth_code", "device_code", "user_code", "device",
	"initial_access_token", "initialaccesstoken", "registration_access_token", "registrationaccesstoken", "request", "request_object",
}

// accessTokenUses are the values of `token_use` of an access token. The claim has this
// one purpose, so that any other word is another use.
var accessTokenUses = []string{"", "access", "access_token"}

// checkTokenUse returns a refusal if an introspected token is marked as something else
// than an access token. Issuers mark it by one of three members, or not at all. Another
// error is that of a member that is not a string.
func checkTokenUse(d claims) error {
	for _, name := range []string{"token_use", "token_type", "typ"} {
		text, err := d.text(name)
		if err != nil {
			return err
		}
		use := strings.TrimPrefix(strings.ToLower(text), "urn:ietf:params:oauth:token-type:")
		if slices.Contains(refreshTokenUses, mediaType(use)) || slices.Contains(otherTokenUses, mediaType(use)) || name == "token_use" && !slices.Contains(accessTokenUses, use) {
			return refuseCredential("introspection: " + name + " says that it is no access token")
		}
	}
	return nil
}
