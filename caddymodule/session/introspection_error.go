// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
)

// interpretBadRequest returns the refusal for an answer with status 400. An error about
// the token can be caused by anybody, who sends one that the issuer does not introspect.
func interpretBadRequest(res *response) error {
	switch code := oauthErrorCode(res.body); {
	case isTokenError(code):
		return refuseCredential("the issuer does not take it for a token that it can judge (status 400, " + code + ")")
	case isClientError(code):
		return unavailableAfter(introspecting, &callError{error: res.malformed(errClientRejected), verdictFor: circuit.ServiceFailed})
	default:
		return unavailableAfter(introspecting, res.unexpectedStatus())
	}
}

// isTokenError tells whether an error code is about the token in the request (RFC 7009
// section 2.2.1, RFC 6749 section 5.2, RFC 6750 section 3.1): the rest of the request is
// the same for all tokens.
func isTokenError(code string) bool {
	return slices.Contains([]string{"unsupported_token_type", "invalid_token", "invalid_request", "invalid_grant"}, code)
}

// isClientError tells whether an error code is about this server's own credentials.
func isClientError(code string) bool {
	return slices.Contains([]string{"invalid_client", "unauthorized_client", "access_denied"}, code)
}

// oauthErrorCode returns the `error` of an OAuth error response; "" if there is none.
func oauthErrorCode(body []byte) string {
	d, err := decodeClaims(body)
	if err != nil {
		return ""
	}
	code, _ := d["error"].(string)
	return code
}

var errClientRejected = errors.New("the issuer does not accept this server: check client_id and client_secret")
