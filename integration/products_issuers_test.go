// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuerProducts are those that make tokens.
var issuerProducts = []*loginProduct{
	{
		name: "Auth0", client: "aud",
		user: func(n int) any { return fmt.Sprintf("auth0|6553da60a54af58e294939%02x", n) },
		ids:  []any{"google-oauth2|103547991597142817347", "waad|kbA_Hw-y+/=", "email|5f7c8ec7c33c6c004bbafe82"},
		signed: &signedLogin{
			keys: "/.well-known/jwks.json", alg: jose.RS256, typ: "JWT",
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, 24*time.Hour, map[string]any{
					"iss": "https://tenant.eu.auth0.com/", "sub": user, "aud": []string{"https://api.example.org", "https://tenant.eu.auth0.com/userinfo"},
					"azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "scope": "openid profile read:patients",
				})
			},
		},
		others: map[string][]any{
			"ID_token":      {idToken("K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "azp", "scope")},
			"Refresh_token": {"v1.MRrtYQ8rWqGZ9mEuC6kAh2GNk9cWpO1r3zpQmVvxJtCw"},
		},
		logoutToken: func(session map[string]any) map[string]any {
			return map[string]any{"sub": session["sub"], "aud": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "sid": "375UHHLnLxS5zvTSWdz2WVGa2VIeQGmE"}
		},
	},
	{
		name: "Entra ID", client: "aud", user: guid,
		ids: []any{"AAAABBBB-0000-CCCC-1111-DDDD2222EEEE"},
		signed: &signedLogin{
			keys: "/aaaabbbb-0000-cccc-1111-dddd2222eeee/discovery/v2.0/keys", alg: jose.RS256, typ: "JWT",
			format: func(kid string, key publicSide) any {
				// Without `alg`, with certificates and a name of its own for each issuer.
				k := key.jwk(kid, "")
				delete(k, "alg")
				certificate := key.certificate(1)
				k["x5t"], k["x5c"], k["issuer"] = kid, []string{base64.StdEncoding.EncodeToString(certificate)}, "https://login.microsoftonline.com/{tenantid}/v2.0"
				return map[string]any{"keys": []any{k}}
			},
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, 75*time.Minute, map[string]any{
					"iss": "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0", "aud": "00001111-aaaa-2222-bbbb-3333cccc4444",
					"azp": "11112222-bbbb-3333-cccc-4444dddd5555", "azpacr": "0", "nbf": now.Unix(), "oid": user, "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
					"sub": fmt.Sprintf("pairwise-%x", user), "name": "Alice", "preferred_username": "alice@example.org", "scp": "Mdh.Read",
					"aio": "opaque", "rh": "opaque", "uti": "opaque", "ver": "2.0",
				})
			},
		},
		others: map[string][]any{
			"ID_token": {idToken("11112222-bbbb-3333-cccc-4444dddd5555", "azp", "azpacr", "scp")},
			"Version_1": {func(claims map[string]any) {
				claims["iss"], claims["ver"] = "https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/", "1.0"
			}},
			"No_oid": {func(claims map[string]any) { delete(claims, "oid") }},
		},
	},
	{
		name: "Keycloak", client: "aud", user: guid,
		ids: []any{"f:a6b8c0d2-58a9-4c0c-8f4f-0d7c6b2f3b1e:alice"},
		signed: &signedLogin{
			keys: "/realms/patients/protocol/openid-connect/certs", alg: jose.RS256, typ: "JWT",
			format: func(kid string, key publicSide) any {
				encryption := key.jwk("encryption", "RSA-OAEP")
				encryption["use"] = "enc"
				return map[string]any{"keys": []any{encryption, key.jwk(kid, jose.RS256)}}
			},
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, 5*time.Minute, map[string]any{
					"iss": "https://sso.example.org/realms/patients", "sub": user, "aud": []string{"mdh-api", "account"}, "azp": "app", "typ": "Bearer",
					"auth_time": now.Unix(), "jti": "onrtac:3f0b1b4e-0c0b-9d86-bc0c-3c9ac9e4f3ad", "sid": rand.Text(), "acr": "1",
					"realm_access": map[string]any{"roles": []string{"uma_authorization"}}, "scope": "openid email profile", "preferred_username": "alice",
				})
			},
		},
		others: map[string][]any{
			"ID_token": {func(claims map[string]any) { idToken("app", "scope", "realm_access")(claims); claims["typ"] = "ID" }},
			"Refresh_token": {
				func(user any) map[string]any {
					return tokenClaims(time.Now(), 30*time.Minute, map[string]any{
						"iss": "https://sso.example.org/realms/patients", "aud": "https://sso.example.org/realms/patients", "sub": user, "typ": "Refresh", "azp": "app",
					})
				},
				func(claims map[string]any) { claims["typ"] = "Refresh" },
				func(claims map[string]any) { claims["typ"] = "Offline" },
			},
		},
		logoutToken: func(session map[string]any) map[string]any {
			return map[string]any{"sub": session["sub"], "aud": "app", "sid": session["sid"], "typ": "Logout"}
		},
	},
	{
		name: "Cognito", client: "client_id", user: guid,
		ids: []any{"eu-west-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
		signed: &signedLogin{
			keys: "/eu-west-1_Example/.well-known/jwks.json", alg: jose.RS256,
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example", "sub": user, "client_id": "57cbishk4j24pabc1234567890", "token_use": "access",
					"scope": "aws.cognito.signin.user.admin", "auth_time": now.Unix(), "username": "janedoe@example.com", "cognito:groups": []string{"admin"},
					"origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "device_key": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
				})
			},
		},
		others: map[string][]any{
			"ID_token": {func(claims map[string]any) {
				idToken("57cbishk4j24pabc1234567890", "client_id", "scope")(claims)
				claims["token_use"] = "id"
			}},
			"Refresh_token": {"eyJjdHkiOiJKV1QiLCJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiUlNBLU9BRVAifQ.a2V5.aXY.Y2lwaGVydGV4dA.dGFn"},
		},
	},
	{
		name: "Clerk", client: "azp", cookie: "__session", bearer: true,
		user: func(n int) any { return fmt.Sprintf("user_2NNEqL2nrIRdJ194ndJqAHwEfx%02d", n) },
		ids:  []any{"ext|42"},
		signed: &signedLogin{
			keys: "/.well-known/jwks.json", alg: jose.RS256, typ: "JWT",
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Minute, map[string]any{
					"iss": "https://clerk.example.org", "sub": user, "azp": "https://app.example.org", "fva": []int{7, -1}, "nbf": now.Add(-10 * time.Second).Unix(),
					"sid": fmt.Sprintf("sess_of_%v", user), "sts": "active", "v": 2,
				})
			},
		},
		others: map[string][]any{"No_origin": {func(claims map[string]any) { delete(claims, "azp") }}},
	},
	{
		name: "Firebase, ID token", client: "aud",
		user: func(n int) any { return fmt.Sprintf("Xy3bZ0kQ9vQ2mS7pR5tU8wA1cD%02d", n) },
		ids:  []any{"a", "my own id with 128 characters? no, but with spaces", "käthe"},
		signed: &signedLogin{
			keys: "/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com", alg: jose.RS256, typ: "JWT", format: googleCertificates,
			claims: firebaseClaims("https://securetoken.google.com/my-project", time.Hour),
		},
		others: map[string][]any{
			"Session_cookie": {func(claims map[string]any) { claims["iss"] = "https://session.firebase.google.com/my-project" }},
			"Custom_token": {func(claims map[string]any) {
				claims["iss"], claims["uid"], claims["sub"] = "admin@my-project.iam.gserviceaccount.com", claims["sub"], "admin@my-project.iam.gserviceaccount.com"
				claims["aud"] = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
			}},
		},
	},
	{
		name: "Firebase, session cookie", client: "aud", cookie: "__Host-session",
		user: func(n int) any { return fmt.Sprintf("Xy3bZ0kQ9vQ2mS7pR5tU8wA1cE%02d", n) },
		ids:  []any{"+491701234567"},
		signed: &signedLogin{
			keys: "/identitytoolkit/v3/relyingparty/publicKeys", alg: jose.RS256, typ: "JWT", format: googleCertificates,
			claims: firebaseClaims("https://session.firebase.google.com/my-project", 14*24*time.Hour),
		},
		others: map[string][]any{"ID_token": {func(claims map[string]any) { claims["iss"] = "https://securetoken.google.com/my-project" }}},
	},
	{
		name: "Supabase", client: "aud", cookie: "sb-abcdefghijklmnopqrst-auth-token", bearer: true, wrap: supabaseCookie, cut: 3180, user: guid, ids: []any{"123e4567-e89b-12d3-a456-426614174000"},
		signed: &signedLogin{
			keys: "/auth/v1/.well-known/jwks.json", alg: jose.ES256, typ: "JWT",
			format: func(kid string, key publicSide) any {
				k := key.jwk(kid, jose.ES256)
				k["ext"], k["key_ops"] = true, []string{"verify"}
				return map[string]any{"keys": []any{k}}
			},
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "sub": user, "aud": "authenticated", "role": "authenticated", "aal": "aal1",
					"session_id": "9a1c3b5e-3b1c-4a4f-8a54-1f7a1b9c2d3e", "email": "alice@example.org", "phone": "", "is_anonymous": false,
					"app_metadata": map[string]any{"provider": "email"}, "user_metadata": map[string]any{}, "amr": []any{map[string]any{"method": "password", "timestamp": now.Unix()}},
				})
			},
		},
		others: map[string][]any{
			"API_key": {
				func(any) map[string]any {
					return tokenClaims(time.Now(), 10*365*24*time.Hour, map[string]any{"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "service_role"})
				},
				func(claims map[string]any) { delete(claims, "sub"); claims["role"] = "anon" },
			},
			"Refresh_token": {"v1.MjA0Zm9vYmFy", "3kx7m2pqz5ab"},
		},
	},
	{
		name: "Okta", client: "aud",
		user: func(n int) any { return fmt.Sprintf("00uixa271s6x7qt8I%03d", n) },
		ids:  []any{"00U_-abc"},
		signed: &signedLogin{
			keys: "/oauth2/default/v1/keys", alg: jose.RS256,
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"ver": 1, "jti": "AT.xtjhr8FeMkyMfgLiFzVYOYPbgqWdd6ONULT3ffeK7d4", "iss": "https://dev-123456.okta.com/oauth2/default", "aud": "api://default",
					"cid": "0oaosna3ilNxgPTmk0h7", "uid": user, "scp": []string{"openid", "phone"}, "auth_time": now.Unix(), "sub": fmt.Sprintf("%v@example.org", user),
				})
			},
		},
		others: map[string][]any{
			"ID_token": {func(claims map[string]any) {
				idToken("0oaosna3ilNxgPTmk0h7", "cid", "scp")(claims)
				claims["sub"], claims["jti"] = claims["uid"], "ID.abc"
				delete(claims, "uid")
			}},
			"Machine":       {func(claims map[string]any) { delete(claims, "uid"); claims["sub"] = claims["cid"] }},
			"Refresh_token": {"a9VpZDRCeFh3Nkk2VdYQgR8XyGQbmFz1qjVZ6h1Jm0E"},
		},
	},
}
