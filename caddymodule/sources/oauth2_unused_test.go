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

// TestUnusedConsentIsEnded protects people from a consent that stands at the vendor and
// led to nothing here, which nobody could end any more. The person's own grant from
// before stays: a vendor may end it with the new one.
func TestUnusedConsentIsEnded(t *testing.T) {
	for _, failing := range []string{"/me", "/users"} {
		r := newUnusedRig(t)
		r.onStatus(failing, http.StatusInternalServerError, `{}`)
		r.onStatus("/consent", http.StatusServiceUnavailable, `{}`) // the first cause is told, whatever the vendor says
		_, err := r.redeem(nil, nil)
		refused(t, err, delegation.IssuerUnavailable, "status 500")
		told := r.asked("/consent")
		if len(told) != 1 || told[0].authorization != "Bearer "+canaryAccess || told[0].form.Get("token") != canaryRefresh {
			t.Errorf("%s fails: the vendor was told %d times", failing, len(told))
		}
		if _, err = r.redeem(nil, &delegation.Grant{Account: "u-1"}); err == nil || len(r.asked("/consent")) != 1 {
			t.Errorf("%s fails: %v, a grant from before has ended", failing, err)
		}
	}
	r := newUnusedRig(t)
	r.onStatus("/token", http.StatusBadRequest, `{"error":"invalid_grant"}`)
	if _, err := r.redeem(nil, nil); err == nil || len(r.asked("/consent")) != 0 {
		t.Errorf("%v: without tokens there is nothing to end", err)
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
