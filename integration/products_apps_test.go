// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// rowID names the nth user by the number of a row, larger than a float is exact.
func rowID(n int) any { return json.Number(strconv.Itoa(9007199254740993 + 2*n)) }

// appProducts are those of which the app alone can judge sessions.
var appProducts = []*loginProduct{
	{
		name: "Ory Kratos", cookie: "ory_kratos_session", bearer: true, user: guid, ids: []any{"bf32596a-f853-47c4-91e6-a3f41cf4949d"},
		asked: &askedLogin{
			path: "/sessions/whoami", subject: "identity.id", value: func(random string) string { return "MTY5" + random + "fA==" },
			answer: func(user any, now time.Time) map[string]any {
				return map[string]any{
					"id": "8f660ce3-69ec-4aeb-9fda-f9230dc3243f", "active": true, "authenticator_assurance_level": "aal1",
					"expires_at": now.Add(24 * time.Hour).UTC().Format("2006-01-02T15:04:05.999999999Z"), "authenticated_at": now.UTC().Format(time.RFC3339),
					"identity": map[string]any{"id": user, "schema_id": "default", "traits": map[string]any{"email": "alice@example.org", "name": map[string]any{"first": "A"}}},
				}
			},
			expire: func(answer map[string]any, ended time.Time) {
				answer["expires_at"] = ended.UTC().Format("2006-01-02T15:04:05.999999999Z")
			},
			nobody: jsonAnswer(http.StatusUnauthorized, `{"error":{"code":401,"status":"Unauthorized","reason":"No valid session credentials found in the request.","message":"The request could not be authorized"}}`),
		},
		others: map[string][]any{
			"Second_factor": {jsonHandler(http.StatusForbidden, `{"error":{"id":"session_aal2_required","code":403,"status":"Forbidden"},"redirect_browser_to":"https://auth.example.org/login?aal=aal2"}`)},
		},
	},
	{
		name: "Auth.js", cookie: "__Secure-authjs.session-token", cut: 4096 - 160, user: guid, ids: []any{"clx3k2j4w0000abcd", "42"},
		asked: &askedLogin{
			path: "/api/auth/session", subject: "user.id",
			// An encrypted token of 6 KB, which a browser gets in two pieces.
			value: func(random string) string {
				return "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIn0..iv-of_" + random + "." + strings.Repeat("c2Vzc2lvbi1_", 512) + "." + random
			},
			answer: func(user any, now time.Time) map[string]any {
				return map[string]any{
					"user":    map[string]any{"name": "Alice", "email": "alice@example.org", "image": nil, "id": user},
					"expires": now.Add(30 * 24 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"),
				}
			},
			expire: func(answer map[string]any, ended time.Time) {
				answer["expires"] = ended.UTC().Format("2006-01-02T15:04:05.000Z")
			},
			nobody: jsonAnswer(http.StatusOK, "null"),
			// With plain http it looks for the cookie without __Secure-.
			question: throughProxy,
		},
		others: map[string][]any{
			"No_id": {func(answer map[string]any) { delete(answer["user"].(map[string]any), "id") }},
			"Empty": {jsonHandler(http.StatusOK, "{}")},
		},
	},
	{
		name: "better-auth", cookie: "__Secure-better-auth.session_token", user: func(n int) any { return "LzKq3VbXo7fWmPzYd2RtS9aUc1Hj" + strconv.Itoa(n) },
		ids: []any{"42"},
		asked: &askedLogin{
			path: "/api/auth/get-session", subject: "user.id", value: func(random string) string { return random + "." + url.QueryEscape("q8+Zk/"+random+"=") },
			answer: func(user any, now time.Time) map[string]any {
				at := func(d time.Duration) string { return now.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
				return map[string]any{
					"session": map[string]any{"id": "s1", "userId": user, "expiresAt": at(7 * 24 * time.Hour), "createdAt": at(0), "updatedAt": at(0), "ipAddress": "", "userAgent": ""},
					"user":    map[string]any{"id": user, "email": "alice@example.org", "emailVerified": true, "name": "Alice", "image": nil, "createdAt": at(0), "updatedAt": at(0)},
				}
			},
			expire: func(answer map[string]any, ended time.Time) {
				setAt(answer, "session.expiresAt", ended.UTC().Format("2006-01-02T15:04:05.000Z"))
			},
			nobody: jsonAnswer(http.StatusOK, "null"),
			question: func(r *http.Request) bool {
				return r.URL.Query().Get("disableRefresh") == "true"
			},
		},
		others: map[string][]any{"Refused": {jsonHandler(http.StatusUnauthorized, "null")}},
	},
	{
		name: "Laravel Sanctum", cookie: "laravel_session", user: rowID, ids: []any{json.Number("1"), "9b7f8a52-0d3c-4c0e-a5ff-7a3b6b2b1f11"},
		asked: &askedLogin{
			path: "/api/user", subject: "id", value: func(random string) string { return "eyJpdiI6" + random + "%3D" },
			answer: func(user any, now time.Time) map[string]any {
				return map[string]any{"id": user, "name": "Alice", "email": "alice@example.org", "email_verified_at": nil, "created_at": now.UTC().Format("2006-01-02T15:04:05.000000Z")}
			},
			nobody:   jsonAnswer(http.StatusUnauthorized, `{"message":"Unauthenticated."}`),
			question: func(r *http.Request) bool { return r.Referer() == "https://app.example.org/" && wantsJSON(r) },
		},
		others: map[string][]any{"Page_expired": {jsonHandler(419, `{"message":"CSRF token mismatch."}`)}},
	},
	{
		name: "Django sessions", cookie: "sessionid", user: rowID, ids: []any{json.Number("1"), "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"},
		asked: &askedLogin{
			path: "/api/me", subject: "id", value: strings.ToLower,
			answer:   func(user any, _ time.Time) map[string]any { return map[string]any{"id": user} },
			nobody:   jsonAnswer(http.StatusUnauthorized, "{}"),
			question: throughProxy,
		},
		others: map[string][]any{"Login_page": {redirectTo("/accounts/login/?next=/api/me")}},
	},
	{
		name: "Rails with Devise", signOut: http.MethodDelete, cookie: "_app_session", user: rowID, ids: []any{json.Number("1")},
		asked: &askedLogin{
			path: "/me.json", subject: "id", value: func(random string) string { return random + "%2F%2B--" + random + "--x%3D%3D" },
			answer:   func(user any, _ time.Time) map[string]any { return map[string]any{"id": user} },
			nobody:   jsonAnswer(http.StatusUnauthorized, `{"error":"You need to sign in or sign up before continuing."}`),
			question: throughProxy,
		},
		others: map[string][]any{"Login_page": {redirectTo("/users/sign_in")}},
	},
	{
		name: "express-session", cookie: "connect.sid", user: rowID, ids: []any{json.Number("7"), "alice", "65f1c0ffee65f1c0ffee65f1"},
		asked: &askedLogin{
			path: "/api/me", subject: "id", value: func(random string) string { return "s%3A" + random + "." + url.QueryEscape("u1+/"+random) },
			answer: func(user any, _ time.Time) map[string]any { return map[string]any{"id": user} },
			nobody: jsonAnswer(http.StatusUnauthorized, "{}"),
		},
		others: map[string][]any{"Login_page": {redirectTo("/login")}},
	},
	{
		name: "PocketBase", user: func(n int) any { return "4q1xlclmfloku3" + strconv.Itoa(n) }, ids: []any{"oap640cot4yru2s"},
		asked: &askedLogin{
			path: "/api/me", subject: "id", value: func(random string) string { return "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYXV0aCJ9." + random },
			answer: func(user any, _ time.Time) map[string]any { return map[string]any{"id": user} },
			nobody: jsonAnswer(http.StatusUnauthorized, `{"data":{},"message":"The request requires valid record authorization token.","status":401}`),
		},
		others: map[string][]any{
			"Superuser": {jsonHandler(http.StatusForbidden, `{"data":{},"message":"The authorized record is not allowed to perform this action.","status":403}`)},
		},
	},
}

// throughProxy tells whether a question looks as if it came through a proxy that
// serves https://app.example.org.
func throughProxy(r *http.Request) bool {
	return r.Host == "app.example.org" && r.Header.Get("X-Forwarded-Proto") == "https" && wantsJSON(r)
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

func jsonAnswer(status int, body string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func jsonHandler(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { jsonAnswer(status, body)(w) }
}

func redirectTo(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}
