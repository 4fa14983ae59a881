// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// TestProblemOf protects people's consents: only what a vendor says in so many words
// is about the token, and the answer is as whole as before.
func TestProblemOf(t *testing.T) {
	long := strings.Repeat("x", 2*maxPeek)
	for name, c := range map[string]struct {
		challenge, body, encoding string
		want                      Problem
		kind                      Kind
	}{
		"header":                   {challenge: `OAuth realm="a", oauth_problem="token_revoked"`, want: "token_revoked", kind: TokenFault},
		"header without quotes":    {challenge: `OAuth oauth_problem=timestamp_refused, oauth_problem_advice=x`, want: TimestampRefused, kind: Time},
		"header of another word":   {challenge: `OAuth oauth_problem="canary"`, body: "oauth_problem=token_revoked"},
		"body":                     {body: "oauth_problem=consumer_key_unknown&oauth_problem_advice=no\n", want: "consumer_key_unknown", kind: ClientFault},
		"long body":                {body: "oauth_problem=nonce_used&a=" + long, want: NonceUsed, kind: Time},
		"body, behind 4 KiB":       {body: "a=" + long + "&oauth_problem=nonce_used"},
		"compressed body":          {body: "oauth_problem=token_revoked", encoding: "gzip"},
		"page":                     {body: "<p>oauth_problem=token_revoked"},
		"name that only ends so":   {body: "not_oauth_problem=token_revoked"},
		"challenge of another one": {challenge: `Bearer my_oauth_problem="token_revoked"`},
		"denied":                   {body: "oauth_problem=permission_denied", want: "permission_denied", kind: Denied},
		"nothing":                  {},
	} {
		res := &http.Response{Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}
		if c.challenge != "" {
			res.Header.Set("WWW-Authenticate", c.challenge)
		}
		if c.encoding != "" {
			res.Header.Set("Content-Encoding", c.encoding)
		}
		if got := ProblemOf(res); got != c.want || got.Kind() != c.kind {
			t.Errorf("%s: %q of kind %d", name, got, got.Kind())
		}
		if rest, err := io.ReadAll(res.Body); string(rest) != c.body || err != nil {
			t.Errorf("%s: the body has %d bytes left of %d, %v", name, len(rest), len(c.body), err)
		}
	}
	broken := errors.New("broken")
	res := &http.Response{Body: io.NopCloser(io.MultiReader(strings.NewReader("oauth_"), iotest.ErrReader(broken)))}
	if got := ProblemOf(res); got != "" {
		t.Errorf("of a broken answer: %q", got)
	}
	if rest, err := io.ReadAll(res.Body); string(rest) != "oauth_" || !errors.Is(err, broken) {
		t.Errorf("a broken answer has become %q, %v", rest, err)
	}
}
