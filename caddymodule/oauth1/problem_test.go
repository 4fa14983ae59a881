// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"net/http"
	"testing"
)

// TestProblemIn protects people's consents: only what a vendor says in so many words is
// about the token.
func TestProblemIn(t *testing.T) {
	for name, c := range map[string]struct {
		challenge, body string
		want            Problem
		kind            Kind
	}{
		"header":                   {challenge: `OAuth realm="a", oauth_problem="token_revoked"`, want: "token_revoked", kind: TokenFault},
		"header without quotes":    {challenge: `OAuth oauth_problem=timestamp_refused, oauth_problem_advice=x`, want: TimestampRefused, kind: Time},
		"header of another word":   {challenge: `OAuth oauth_problem="canary"`, body: "oauth_problem=token_revoked"},
		"body":                     {body: "oauth_problem=consumer_key_unknown&oauth_problem_advice=no\n", want: "consumer_key_unknown", kind: ClientFault},
		"a parameter":              {body: "a=1&oauth_problem=Parameter_Absent", want: "parameter_absent", kind: RequestFault},
		"page":                     {body: "<p>oauth_problem=token_revoked"},
		"name that only ends so":   {body: "not_oauth_problem=token_revoked"},
		"challenge of another one": {challenge: `Bearer my_oauth_problem="token_revoked"`},
		"denied":                   {body: "oauth_problem=permission_denied", want: "permission_denied", kind: Denied},
		"nothing":                  {},
	} {
		header := http.Header{}
		if c.challenge != "" {
			header.Set("WWW-Authenticate", c.challenge)
		}
		if got := ProblemIn(header, []byte(c.body)); got != c.want || got.Kind() != c.kind {
			t.Errorf("%s: %q of kind %d", name, got, got.Kind())
		}
	}
}
