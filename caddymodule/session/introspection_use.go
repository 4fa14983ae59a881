// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"
	"strings"
)

// refreshTokenUses are what tokens are said to be that are for getting others, in lower
// case.
var refreshTokenUses = []string{"refresh", "refresh_token", "refresh-token", "rt", "rt+jwt", "offline", "offline_access"}

// otherTokenUses are, besides, what tokens are said to be that are for something else than
// calling an API, in lower case: Hydra's and dex' `token_use`, Cognito's, and
// Keycloak's `typ`. A refresh token lives for months, and an ID token tells an app
// who has signed in to it.
var otherTokenUses = []string{
	"id", "id_token", "id_token+jwt", "logout", "logout_token", "logout+jwt", "backchannel-logout",
	"code", "authorization_code", "auth_code", "device_code", "user_code", "device",
	"initial_access_token", "initialaccesstoken", "registration_access_token", "registrationaccesstoken", "request", "request_object",
}

// accessTokenUses are what `token_use` says of an access token. It is there for the one
// purpose, so that any other word is another use.
var accessTokenUses = []string{"", "access", "access_token"}

// checkTokenUse refuses an introspected token that is said to be no access token.
// Issuers tell it by one of these names, or not at all.
func checkTokenUse(d claims) error {
	for _, name := range []string{"token_use", "token_type", "typ"} {
		text, err := d.text(name)
		if err != nil {
			return err
		}
		use := strings.TrimPrefix(strings.ToLower(text), "urn:ietf:params:oauth:token-type:")
		if slices.Contains(refreshTokenUses, mediaType(use)) || slices.Contains(otherTokenUses, mediaType(use)) || name == "token_use" && !slices.Contains(accessTokenUses, use) {
			return refuse("introspection: " + name + " says that it is no access token")
		}
	}
	return nil
}

// isTokenError tells whether an error code of an answer with status 400 is
// about the token that was shown (RFC 7009 section 2.2.1, RFC 6749 section 5.2,
// RFC 6750 section 3.1): the question is the same for all tokens.
func isTokenError(code string) bool {
	return slices.Contains([]string{"unsupported_token_type", "invalid_token", "invalid_request", "invalid_grant"}, code)
}

// isClientError is the same for an error that is about this server.
func isClientError(code string) bool {
	return slices.Contains([]string{"invalid_client", "unauthorized_client", "access_denied"}, code)
}

// oauthErrorCode is the `error` of an OAuth answer; "" if there is none.
func oauthErrorCode(body []byte) string {
	d, err := decodeClaims(body)
	if err != nil {
		return ""
	}
	code, _ := d["error"].(string)
	return code
}

var errClientRejected = errors.New("the issuer does not accept this server: check client_id and client_secret")
