// SPDX-License-Identifier: Apache-2.0

package integration

import "testing"

// Sources without a preset must work by what the docs say alone: the seven mandatory
// fields of the seed for a lab with OAuth 1.0a, and a line for each quirk of vendors
// that are not in the catalogue.
func TestSourcesByHand(t *testing.T) {
	testPresets(t, []presetCase{
		{name: "old_lab", allow: "GET /measurements", keeps: true, hand: `{
			name              "Old lab"
			auth_host_url     {vendor}
			api_host_url      {vendor}/v1
			auth_url          /oauth1/authorize
			request_token_url {vendor}/oauth1/request_token
			access_token_url  {vendor}/oauth1/access_token
			full_auth_url     auto
			account           get {vendor}/v1/me id
			signature         HMAC-SHA256
`},
		// A refresh token has an address of its own.
		{name: "coros", allow: "GET /v2/sleep", hand: `{
			name              COROS
			auth_host_url     {vendor}
			api_host_url      {vendor}
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  /oauth2/accesstoken
			refresh_url       /oauth2/refresh-token
			full_auth_url     auto
			client_auth       body
			pkce              off
			scopes            none
			account           reply openId
`},
		// An access token says itself when it ends and whose it is, and each call
		// needs a header.
		{name: "suunto", allow: "GET /v2/sleep", hand: `{
			name              Suunto
			auth_host_url     {vendor}
			api_host_url      {vendor}
			auth_url          /oauth/authorize
			request_token_url none
			access_token_url  /oauth/token
			full_auth_url     auto
			client_auth       basic
			pkce              off
			scopes            none
			reply {
				expires_claim exp
			}
			account    access_token sub
			api_header Ocp-Apim-Subscription-Key simulated-subscription-key
`},
		// The account is in an ID token, and the refresh token is kept.
		{name: "huawei", allow: "GET /v1/sleep sleep.read", hand: `{
			name              "Huawei Health"
			auth_host_url     {vendor}
			api_host_url      {vendor}
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  /oauth2/token
			full_auth_url     auto
			client_auth       body
			scopes            openid sleep.read activity.read
			authorize_param   access_type offline
			refresh           kept
			account           id_token sub
`},
	})
}
