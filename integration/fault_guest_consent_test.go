// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func (p *brittle) StartConsent(_ context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	at("start", flow.Subject)
	if flow.Subject == "neither page nor error" {
		return nil, nil
	}
	return &delegation.ConsentPage{Widget: map[string]string{"clientId": "c"}}, nil
}

func (p *brittle) ReadCallback(context.Context, *http.Request) (*delegation.Callback, error) {
	panic(panicText)
}

func (p *brittle) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	at(handed.Get("fault"), "token")
	return delegation.NewSecret(handed.Get("token")), nil
}

func (p *brittle) Redeem(_ context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	at(r.Handed.Get("fault"), "redeem")
	if r.Handed.Get("fault") == "neither result nor error" {
		return nil, nil
	}
	return &delegation.ConsentResult{Account: "account of " + r.Subject}, nil
}

func (p *brittle) DecodeGrant(g *delegation.Grant) (any, error) {
	at("decode", g.Subject)
	return nil, nil
}

func (p *brittle) ProbeGrant(context.Context, *delegation.Grant) delegation.ProbeResult {
	panic(panicText)
}

// TestH10_GuestPanicsInConsent protects whoever connects from a provider's code that
// panics in a hook: the request is refused and the flow goes on, nobody is bound to
// anything by it, and the log has the place without what the panic said.
func TestH10_GuestPanicsInConsent(t *testing.T) {
	// By another name, as the counters of all tests are one.
	renamed := strings.NewReplacer("provider brittle {", "provider flaky brittle {", "delegate_proxy brittle", "delegate_proxy flaky", "delegate_connect brittle", "delegate_connect flaky")
	text, file := logged(t, administered(renamed.Replace(withBrittle("http://127.0.0.1:1", "none"))))
	s := start(t, text)
	// begin begins a flow, and returns what its browser posts to /redeem.
	begin := func(u *user) (redeem func(body string) answer) {
		t.Helper()
		got := u.do(u.request(http.MethodPost, "/consent/start", nil))
		got.want(t, http.StatusOK, "")
		cookie, _, _ := strings.Cut(got.Header.Get("Set-Cookie"), ";")
		return func(body string) answer {
			req := u.request(http.MethodPost, "/consent/redeem", strings.NewReader(body))
			req.Header.Set("Cookie", req.Header.Get("Cookie")+"; "+cookie)
			return u.do(req)
		}
	}
	alice := signIn(t, s, "alice")
	redeem := begin(alice)
	for _, fault := range []string{"token", "redeem", "neither result nor error"} {
		redeem(`{"token":"once","fault":"`+fault+`"}`).want(t, http.StatusInternalServerError, "not_delegated")
		if got := alice.get("/consent/status"); strings.Contains(got.body, "connected") {
			t.Errorf("%s: %s", fault, got.body)
		}
	}
	redeem(`{"token":"once"}`).want(t, http.StatusCreated, "")

	// What a grant holds cannot be read: its person connects anew, and has no data.
	decode := signIn(t, s, "decode")
	begin(decode)(`{"token":"of decode"}`).want(t, http.StatusCreated, "")
	decode.get("/brittle/x").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	begin(decode)(`{"token":"once more"}`).want(t, http.StatusCreated, "")

	recovered, all := lines(t, file, "recovered from a panic, which is a fault of this module or of a provider's")
	for _, place := range []string{"OneTimeToken", "Redeem", "DecodeGrant"} {
		found := false
		for _, line := range recovered {
			found = found || strings.Contains(line["functions"].(string), "(*brittle)."+place)
		}
		if !found {
			t.Errorf("no panic in %s in the log: %v", place, recovered)
		}
	}
	if strings.Contains(all, panicText) {
		t.Error("the log holds what the panic said")
	}
}
