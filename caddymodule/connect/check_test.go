// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checked returns the findings of a check, a line each.
func (r *rig) checked(q delegation.CheckRequest) string {
	r.t.Helper()
	var b strings.Builder
	r.Check(r.t.Context(), q, func(f delegation.Finding) {
		mark := "✗"
		switch {
		case f.Skipped:
			mark = "-"
		case f.Warning:
			mark = "!"
		case f.OK:
			mark = "✓"
		}
		fmt.Fprintf(&b, "%s %s: %s\n", mark, f.Step, f.Detail)
	})
	clean(r.t, b.String())
	return b.String()
}

// TestCheck protects the operator, who learns before there is any user whether the
// client is accepted, what ties accounts to people, and whether a route answers.
func TestCheck(t *testing.T) {
	exchange := answers(422, "application/json", `{"message":"`+canarySecret+`"}`)
	status := http.StatusOK
	r := newRig(t, nil)
	r.answerWith(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/tokens" {
			exchange(w, req)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, canaryAccess)
	})
	q := delegation.CheckRequest{Delegation: delegated(), Send: true}
	contains := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s\nhas no %q", text, w)
			}
		}
	}
	contains(r.checked(delegation.CheckRequest{}), "✓ binding: echo: the answer of exchange_url has to name clientId and clientUserId", "✓ platform: 127.0.0.1", "✓ client: a token that nobody has is refused with status 422, and not the client\n")
	if sent := r.asked()[1].fields["specialToken"]; !strings.HasPrefix(sent, "check-") || len(sent) < 30 {
		t.Errorf("the token is %q", sent)
	}
	contains(r.checked(q), "✗ grant: consent_required", "- read: it needs grant")
	r.grants.current = grant(t, "account-1", canaryAccess, canaryPublic)
	contains(r.checked(q), "✓ grant: of 2027-01-15 08:00", "✓ read: status 200, 19 bytes")
	if sent := r.asked()[len(r.asked())-1]; sent.path != "/v1/human/activity" || sent.query.Get("day") != "1" || sent.header.Get("Authorization") != "Bearer "+canaryAccess {
		t.Errorf("the route got %+v", sent)
	}
	for status = range map[int]bool{401: true, 404: true} {
		contains(r.checked(q), fmt.Sprintf("✗ read: %s", map[int]string{401: "status 401: the platform does not accept the access token", 404: "the platform answers with status 404"}[status]))
	}
	exchange = answers(403, "application/json", "{}")
	contains(r.checked(q), "✗ client: credentials_rejected: exchange_url: status 403: check client_id and client_secret", "- grant: it needs client")
	exchange = replies(nil)
	contains(r.checked(q), "✗ client: exchange_url answers with status 200 to a token that nobody has: check the address")
	exchange = answers(404, "text/html", "<html>")
	contains(r.checked(q), "✗ client: issuer_unavailable: exchange_url: status 404 with a page that is no answer: check the address")
}

// TestCheckBinding protects people whose operator has chosen no binding: check and
// log say what that means.
func TestCheckBinding(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Binding = BindingNone })
	if text := r.checked(delegation.CheckRequest{}); !strings.Contains(text, "! binding: none: whoever posts somebody else's one-time token reads that person's data as their own") {
		t.Error(text)
	}
	if r.logs.FilterMessageSnippet("binding is none: whoever posts somebody else's one-time token").Len() != 1 {
		t.Errorf("the log has %v", r.logs.All())
	}
	r = newRig(t, func(c *Config) { c.Binding, c.VerifyURL = BindingVerify, "/me" })
	if text := r.checked(delegation.CheckRequest{}); !strings.Contains(text, "✓ binding: verify: http://127.0.0.1") {
		t.Error(text)
	}
	if r.logs.Len() > 0 {
		t.Errorf("the log has %v", r.logs.All())
	}
}
