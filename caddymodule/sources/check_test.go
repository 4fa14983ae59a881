// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// findings are what the operator is told, one a line.
func (r *codeRig) findings(q delegation.CheckRequest) string {
	var lines strings.Builder
	r.Check(r.t.Context(), q, func(f delegation.Finding) {
		fmt.Fprintf(&lines, "%s %t %t: %s\n", f.Step, f.OK, f.Skipped, f.Detail)
	})
	clean(r.t, lines.String())
	return lines.String()
}

// TestCheck protects operators from learning of a wrong client by the first person who
// connects.
func TestCheck(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"invalid_grant"}`:  "lab client true false: a code that nobody has is refused with status 400, and not the client\n",
		`{"error":"invalid_client"}`: "lab client false false: credentials_rejected: the token endpoint: invalid_client: check client_id, client_secret",
		`{"error":"canary"}`:         "lab client true false: the token endpoint answers with status 400 and a word of its own",
		`<h1>canary</h1>`:            "lab client false false: issuer_unavailable: the token endpoint: the answer is a page, not JSON: check the address",
	} {
		r := newCodeRig(t, nil)
		r.onStatus("/token", 400, body)
		if got := r.findings(delegation.CheckRequest{}); !strings.HasPrefix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	r := newCodeRig(t, nil)
	r.onStatus("/token", 404, `{"error":"canary"}`)
	if got := r.findings(delegation.CheckRequest{}); !strings.HasPrefix(got, "lab client false false: there is no token endpoint at ") || !strings.Contains(got, "status 404: correct access_token_url") {
		t.Error(got)
	}
	r = newCodeRig(t, nil)
	if got := r.findings(delegation.CheckRequest{}); !strings.Contains(got, "gives a token for a code that nobody has") {
		t.Error(got)
	}
}

// TestCheckPage protects operators from an auth_url at which the vendor has no page, and
// those whose server may not reach a page that is for browsers.
func TestCheckPage(t *testing.T) {
	for status, want := range map[int]string{
		200: "lab page true false: auth_url answers with status 200",
		302: "lab page true false: auth_url answers with status 302",
		400: "lab page true false: auth_url answers with status 400",
		404: "lab page false false: there is no page at https://login.lab.example, which answers with status 404: correct auth_url",
		500: "lab page true false: the page of https://login.lab.example answers with status 500",
		0:   "lab page true false: https://login.lab.example cannot be reached from here: ",
	} {
		r := newCodeRig(t, nil)
		r.onStatus("/token", 400, `{"error":"invalid_grant"}`)
		r.onStatus("/authorize", status, `<h1>canary</h1>`)
		if status == 0 {
			r.answers["/authorize"] = breaks
		}
		if got := r.findings(delegation.CheckRequest{}); !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
		if asked := r.asked("/authorize"); len(asked) != 1 || !strings.Contains(asked[0].query, "client_id=app") || strings.Contains(asked[0].query, "redirect_uri") {
			t.Errorf("%+v", asked)
		}
	}
}

// TestCheckRequest protects operators from a route that its person could not use.
func TestCheckRequest(t *testing.T) {
	r := newCodeRig(t, nil)
	r.connect(nil)
	r.onStatus("/token", 400, `{"error":"invalid_grant"}`)
	for path, want := range map[string]string{
		"/lab/x":   "lab grant true false: of 0001",
		"/other/x": "source false false: route_denied",
		"/lab":     "source false false: route_denied: the path names a source and nothing below it\nlab client false true: it needs source",
	} {
		d := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: path}
		if got := r.findings(delegation.CheckRequest{Delegation: d}); !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
	for status, want := range map[int]string{
		200: "lab grant true false: of 0001-01-01 00:00\nread true false: status 200, 15 bytes\n",
		404: "read false false: the platform answers with status 404: there is no such path", 401: "read false false: status 401: the vendor does not accept the access token",
	} {
		r.onStatus("/v1/x", status, `{"value":"ada"}`)
		d := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x", URI: "/lab/x"}
		if got := r.findings(delegation.CheckRequest{Delegation: d, Send: true}); !strings.Contains(got, want) || strings.Contains(got, "ada") {
			t.Errorf("%d: %s\nwant %s", status, got, want)
		}
	}
	r.onStatus("/v1/x", 200, "{}")
	judged := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x", URI: "/other/token?a=b%20c"}
	before := len(r.asked("/v1/x"))
	if got := r.findings(delegation.CheckRequest{Delegation: judged, Send: true}); !strings.Contains(got, "read true") {
		t.Error(got)
	}
	if sent := r.asked("/v1/x"); len(sent) != before+1 || sent[before].query != "a=b%20c" {
		t.Errorf("what is sent is not what was judged: %+v", sent[before:])
	}
	d := &delegation.Delegation{Person: ada, Method: http.MethodGet, Path: "/lab/x", Scopes: []string{"ecg"}}
	if got := r.findings(delegation.CheckRequest{Delegation: d}); !strings.Contains(got, "lab grant false false: consent_required") {
		t.Error(got)
	}
}
