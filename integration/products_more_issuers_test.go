// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// moreIssuerProducts are further issuers, most of which an operator runs.
var moreIssuerProducts = []*loginProduct{
	{
		name: "Ory Hydra", client: "aud", user: guid, ids: []any{"alice@example.org", json.Number("42")},
		asked: &askedLogin{
			path: "/admin/oauth2/introspect", subject: "sub", value: func(random string) string { return "ory_at_" + random + ".sig_-" },
			answer: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"active": true, "scope": "openid offline", "client_id": "app", "sub": user, "aud": []string{"https://api.example.org"},
					"iss": "https://auth.example.org/", "token_type": "Bearer", "token_use": "access_token", "nbf": now.Unix(), "ext": map[string]any{},
				})
			},
			expire: expireClaim, nobody: inactiveToken, question: introspection(""),
		},
		others: map[string][]any{
			"Refresh_token": {func(answer map[string]any) { answer["token_use"] = "refresh_token" }},
			"Machine":       {func(answer map[string]any) { delete(answer, "sub") }},
		},
	},
	{
		name: "Zitadel", client: "aud",
		user: func(n int) any { return "27841966534832" + strconv.Itoa(5000+n) },
		ids:  []any{"9007199254740993", json.Number("9007199254740995")},
		asked: &askedLogin{
			path: "/oauth/v2/introspect", subject: "sub",
			answer: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, 12*time.Hour, map[string]any{
					"active": true, "aud": []string{"301234567890123456", "298765432109876543"}, "client_id": "299999999999999999", "iss": "https://example.zitadel.cloud",
					"jti": "V2_278419665348325000-at_278419665348390000", "nbf": now.Unix(), "scope": "openid profile", "sub": user, "token_type": "Bearer",
					"username": "alice@example.org",
				})
			},
			expire: expireClaim, nobody: inactiveToken, question: introspection("301234567890123456"),
		},
		others: map[string][]any{
			"ID_token": {func(answer map[string]any) { clear(answer); answer["active"] = false }},
		},
	},
	{
		name: "WSO2 Identity Server", client: "aud", user: guid, ids: []any{"alice", "PRIMARY/alice@carbon.super"},
		signed: &signedLogin{
			keys: "/oauth2/jwks", alg: jose.RS256, typ: "at+jwt",
			format: func(kid string, key publicSide) any {
				k := key.jwk(kid, jose.RS256)
				certificate := key.certificate(-1)
				sum := sha256.Sum256(certificate)
				k["x5c"] = []string{base64.StdEncoding.EncodeToString(certificate)}
				k["x5t#S256"] = base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:])))
				return map[string]any{"keys": []any{k}}
			},
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"iss": "https://is.example.org/oauth2/token", "sub": user, "aut": "APPLICATION_USER", "aud": "gSrJzfo6HGdrmWMBEXUzzy14TQQa",
					"azp": "gSrJzfo6HGdrmWMBEXUzzy14TQQa", "client_id": "gSrJzfo6HGdrmWMBEXUzzy14TQQa", "nbf": now.Unix(), "scope": "openid", "jti": "9d1e9829-c4f3-3f39-b02c-84298ace1710",
				})
			},
		},
		others: map[string][]any{
			"ID_token": {func(claims map[string]any) {
				idToken("gSrJzfo6HGdrmWMBEXUzzy14TQQa", "aut", "client_id", "scope")(claims)
				claims[headerType] = "JWT"
			}},
			"Refresh_token": {"9fac7747-bb2d-46be-bef2-a95b2f69f8b2"},
		},
	},
	{
		name: "Other OpenID providers", client: "aud", user: guid, ids: []any{"248289761001", "alice"},
		signed: &signedLogin{
			keys: "/jwks", alg: jose.RS256, typ: "at+jwt",
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, time.Hour, map[string]any{
					"iss": "https://login.example.org", "sub": user, "aud": "https://api.example.org", "client_id": "app", "scope": "read", "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
					"auth_time": now.Unix(), "acr": "1", "amr": []string{"pwd"},
				})
			},
		},
		others: map[string][]any{
			"ID_token": {
				func(claims map[string]any) { idToken("app", "client_id", "scope")(claims); claims[headerType] = "JWT" },
				func(claims map[string]any) { claims[headerType] = "JWT" }, // for the API as well
			},
			"Refresh_token": {"nEvpUxQ4jXfS4t2zZz5nBfK6qL0mZrQm1Tq0c7Zr3uH"},
		},
		logoutToken: func(session map[string]any) map[string]any {
			return map[string]any{"sub": session["sub"], "aud": "app", "sid": "LzVVUeXXv1kyfZUxSZpZ9"}
		},
	},
	{
		name: "simplejwt",
		user: func(n int) any { return json.Number(strconv.Itoa(n + 1)) },
		ids:  []any{json.Number("9007199254740993"), "7001", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"},
		signed: &signedLogin{
			alg: jose.HS256, typ: "JWT", secret: "django",
			claims: func(user any, now time.Time) map[string]any {
				return tokenClaims(now, 5*time.Minute, map[string]any{"token_type": "access", "jti": "fcbaabbc963542429db9e93fd0aa158d", "user_id": user})
			},
		},
		others: map[string][]any{
			"Refresh_token": {func(claims map[string]any) {
				claims["token_type"], claims["exp"] = "refresh", time.Now().Add(24*time.Hour).Unix()
			}},
			"No_time_of_issue": {func(claims map[string]any) { delete(claims, "iat") }},
			"Odd_user": {
				func(claims map[string]any) { claims["user_id"] = true },
				func(claims map[string]any) { claims["user_id"] = 1.5 },
				func(claims map[string]any) { claims["user_id"] = []string{"1"} },
				func(claims map[string]any) { claims["user_id"] = map[string]any{"id": 1} },
				func(claims map[string]any) { delete(claims, "user_id") },
			},
		},
	},
}
