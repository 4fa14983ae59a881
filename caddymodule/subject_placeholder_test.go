// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "testing"

// TestCheckPlaceholder protects against the commonest homemade hole: the user's
// name from something a client can send.
func TestCheckPlaceholder(t *testing.T) {
	for _, good := range []string{"{http.auth.user.id}", "{http.auth.user.sub}", "{http.reverse_proxy.header.Remote-User}"} {
		if err := checkPlaceholder(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "alice", "{http.request.header.X-User}", "{http.request.cookie.user}", "{http.request.uri.query.user}", "{http.vars.user}",
		"{http.auth.candidate.id}", "{http.auth.user.}", "{http.auth.user.id", "http.auth.user.id", "x{http.auth.user.id}",
		"{http.auth.user.id}{http.request.header.X}", "{env.USER}", "{http.regexp.x.1}", "{http.request.tls.client.subject}", "{http.auth.user.{http.request.header.X}}",
	} {
		if checkPlaceholder(bad) == nil {
			t.Errorf("%s is trusted", bad)
		}
	}
}
