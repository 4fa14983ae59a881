// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// newUnusedRig returns a source whose account and label are looked up, that makes a
// call after connecting, and can tell its vendor that somebody has left.
func newUnusedRig(t *testing.T) *codeRig {
	r := newCodeRig(t, func(c *Config) {
		c.Account = &Lookup{In: InAnswer, URL: at("https://api.lab.example/me"), Path: "id"}
		c.Label = &Lookup{In: InAnswer, URL: at("https://api.lab.example/label"), Path: "email"}
		c.AfterConnect = &Call{Method: http.MethodPost, URL: "https://api.lab.example/users", Auth: "bearer"}
		c.Revoke = &Call{Method: http.MethodDelete, URL: "https://api.lab.example/consent", Auth: "bearer", Form: map[string]string{"token": "{refresh}"}}
	})
	r.on("/me", `{"id":"u-1"}`)
	r.on("/label", `{"email":"ada@example.org"}`)
	r.on("/users", `{}`)
	r.on("/consent", `{}`)
	return r
}

// TestUnusedConsentIsHandedOver protects people from a consent that stands at the vendor
// and led to nothing here, which nobody could end any more: the host gets what has to be
// ended beside the error. It knows whether somebody has the account in use, so that it
// decides, and tells the vendor; of an account that was not found it cannot know.
func TestUnusedConsentIsHandedOver(t *testing.T) {
	for failing, account := range map[string]string{"/me": "", "/users": "u-1"} {
		r := newUnusedRig(t)
		r.onStatus(failing, http.StatusInternalServerError, `{}`)
		unused, err := r.redeem(nil, nil)
		refused(t, err, delegation.IssuerUnavailable, "status 500")
		if unused == nil || unused.Account != account || unused.Tokens.Access.Reveal() != canaryAccess || unused.Tokens.Refresh.Reveal() != canaryRefresh {
			t.Errorf("%s fails: handed over %+v", failing, unused)
		}
		if told := len(r.asked("/consent")); told != 0 {
			t.Errorf("%s fails: the vendor was told %d times, whoever has the account", failing, told)
		}
	}
	r := newUnusedRig(t)
	r.onStatus("/token", http.StatusBadRequest, `{"error":"invalid_grant"}`)
	if unused, err := r.redeem(nil, nil); err == nil || unused != nil {
		t.Errorf("%v, %v: without tokens there is nothing to end", unused, err)
	}
}

// TestLabelIsNoCondition protects people from being unable to connect because the vendor
// does not say how their account is called.
func TestLabelIsNoCondition(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusInternalServerError} {
		r := newUnusedRig(t)
		r.onStatus("/label", status, `{"email":"ada@example.org"}`)
		got := r.connect(nil)
		if got.Account != "u-1" || (got.Label == "ada@example.org") != (status == http.StatusOK) || len(r.asked("/consent")) != 0 {
			t.Errorf("%d: account %q, label %q, ended %d times", status, got.Account, got.Label, len(r.asked("/consent")))
		}
	}
}
