// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// guid names the nth user as many issuers do.
func guid(n int) any { return fmt.Sprintf("5f660ce3-69ec-4aeb-9fda-%012x", n) }

// tokenClaims are those that nearly every token has, with others.
func tokenClaims(now time.Time, life time.Duration, others map[string]any) map[string]any {
	others["iat"], others["exp"] = now.Unix(), now.Add(life).Unix()
	return others
}

// idToken changes an access token's claims to those of the ID token that comes
// with it: it is for the client, and has none of the names.
func idToken(client any, without ...string) func(map[string]any) {
	return func(claims map[string]any) {
		for _, name := range without {
			delete(claims, name)
		}
		claims["aud"], claims["nonce"], claims["at_hash"] = client, "n-0S6_WzA2Mj", "77QmUPtjPfzWtF2AnpK9RQ"
	}
}

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
		logoutToken: func(user any) map[string]any {
			return map[string]any{"sub": user, "aud": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "sid": "375UHHLnLxS5zvTSWdz2WVGa2VIeQGmE"}
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
					"auth_time": now.Unix(), "jti": "onrtac:3f0b1b4e-0c0b-9d86-bc0c-3c9ac9e4f3ad", "sid": fmt.Sprintf("sid-of-%v", user), "acr": "1",
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
		logoutToken: func(user any) map[string]any {
			return map[string]any{"sub": user, "aud": "app", "sid": fmt.Sprintf("sid-of-%v", user), "typ": "Logout"}
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
		logoutToken: func(user any) map[string]any {
			return map[string]any{"sub": user, "aud": "app", "sid": "LzVVUeXXv1kyfZUxSZpZ9"}
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

func firebaseClaims(issuer string, life time.Duration) func(user any, now time.Time) map[string]any {
	return func(user any, now time.Time) map[string]any {
		return tokenClaims(now, life, map[string]any{
			"iss": issuer, "aud": "my-project", "auth_time": now.Unix(), "user_id": user, "sub": user, "email": "alice@example.org", "email_verified": true,
			"firebase": map[string]any{"identities": map[string]any{"email": []string{"alice@example.org"}}, "sign_in_provider": "password"},
		})
	}
}

// supabaseCookie is what @supabase/ssr keeps of a session.
func supabaseCookie(session string) string {
	text, err := json.Marshal(map[string]any{
		"access_token": session, "token_type": "bearer", "expires_in": 3600, "refresh_token": "3kx7m2pqz5ab",
		"user": map[string]any{"id": "somebody", "user_metadata": map[string]any{"bio": strings.Repeat("käthe ", 500)}},
	})
	if err != nil {
		panic(err)
	}
	return "base64-" + base64.RawURLEncoding.EncodeToString(text)
}

// googleCertificates are keys in Google's own format.
func googleCertificates(kid string, key publicSide) any {
	return map[string]string{kid: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.certificate(1)}))}
}

// certificate is one of the key that it signs itself. A negative serial number is
// none that Go would write.
func (s publicSide) certificate(serial int64) []byte {
	positive := big.NewInt(0x01020304)
	template := &x509.Certificate{SerialNumber: positive, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.PublicKey, s.private)
	if err != nil {
		panic(err)
	}
	if serial < 0 {
		at := bytes.Index(der, []byte{2, 4, 1, 2, 3, 4})
		der[at+2] = 0x81
	}
	return der
}

func expireClaim(answer map[string]any, ended time.Time) { answer["exp"] = ended.Unix() }

// inactiveToken is what RFC 7662 section 2.2 has for a token that is worth nothing.
func inactiveToken(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"active":false}`))
}

// introspection tells whether a question is one of RFC 7662 by the client, if one
// is given.
func introspection(id string) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" &&
			(id == "" || ok && user == id && password != "")
	}
}
