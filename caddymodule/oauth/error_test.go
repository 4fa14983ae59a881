// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The kind decides who is told that it is their trouble: one participant, the
// operator, or everybody for a moment.
func TestTokenErrors(t *testing.T) {
	body := func(code string) string {
		return `{"error":"` + code + `","error_description":"planted ` + plantedSecret + `"}`
	}
	html := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		issuer testIssuer
		kind   Kind
		code   string
		refuse delegation.Code
	}{
		"invalid_client 400":   {testIssuer{status: 400, body: body("invalid_client")}, ClientRejected, "invalid_client", delegation.CredentialsRejected},
		"invalid_client 401":   {testIssuer{status: 401, body: body("invalid_client")}, ClientRejected, "invalid_client", delegation.CredentialsRejected},
		"unauthorized_client":  {testIssuer{status: 400, body: body("unauthorized_client")}, ClientRejected, "unauthorized_client", delegation.CredentialsRejected},
		"invalid_scope":        {testIssuer{status: 400, body: body("invalid_scope")}, ScopeRejected, "invalid_scope", delegation.ScopeRejected},
		"invalid_grant 400":    {testIssuer{status: 400, body: body("invalid_grant")}, GrantRefused, "invalid_grant", delegation.DelegationRefused},
		"invalid_grant 401":    {testIssuer{status: 401, body: body("invalid_grant")}, GrantRefused, "invalid_grant", delegation.DelegationRefused},
		"access_denied 403":    {testIssuer{status: 403, body: body("access_denied")}, GrantRefused, "access_denied", delegation.DelegationRefused},
		"own word 400":         {testIssuer{status: 400, body: body("planted_code")}, GrantRefused, "", delegation.DelegationRefused},
		"own word 401":         {testIssuer{status: 401, body: body("planted_code")}, ClientRejected, "", delegation.CredentialsRejected},
		"own word 404":         {testIssuer{status: 404, body: body("planted_code")}, Unavailable, "", delegation.IssuerUnavailable},
		"unsupported grant":    {testIssuer{status: 400, body: body("unsupported_grant_type")}, RequestUnsupported, "unsupported_grant_type", delegation.CredentialsRejected},
		"invalid_request":      {testIssuer{status: 400, body: body("invalid_request")}, RequestUnsupported, "invalid_request", delegation.CredentialsRejected},
		"temporarily":          {testIssuer{status: 400, body: body("temporarily_unavailable")}, Unavailable, "temporarily_unavailable", delegation.IssuerUnavailable},
		"429":                  {testIssuer{status: 429, body: plantedSecret, header: html}, Throttled, "", delegation.IssuerThrottled},
		"500 with client code": {testIssuer{status: 500, body: body("invalid_client")}, Unavailable, "", delegation.IssuerUnavailable},
		"502 HTML":             {testIssuer{status: 502, body: plantedSecret, header: html}, Unavailable, "", delegation.IssuerUnavailable},
		"400 HTML":             {testIssuer{status: 400, body: plantedSecret, header: html}, Unavailable, "", delegation.IssuerUnavailable},
		"400 empty":            {testIssuer{status: 400}, Unavailable, "", delegation.IssuerUnavailable},
		"400 code twice":       {testIssuer{status: 400, body: `{"error":"invalid_grant","error":"invalid_client"}`}, Unavailable, "", delegation.IssuerUnavailable},
		"400 code no string":   {testIssuer{status: 400, body: `{"error":{"planted":1}}`}, Unavailable, "", delegation.IssuerUnavailable},
		"307":                  {testIssuer{status: 307, header: http.Header{"Location": {"https://planted.example/"}}}, Unavailable, "", delegation.IssuerUnavailable},
		"303":                  {testIssuer{status: 303, header: http.Header{"Location": {"/planted"}}}, Unavailable, "", delegation.IssuerUnavailable},
		"broken connection":    {testIssuer{err: errors.New("malformed HTTP response " + plantedSecret)}, Unavailable, "", delegation.IssuerUnavailable},
		"unknown host":         {testIssuer{err: &net.DNSError{Err: "no such host", Name: "planted.example"}}, Unavailable, "", delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.issuer.requestToken(t)
			e := asError(t, err)
			if e.Kind != c.kind || e.Code != c.code || e.Status != c.issuer.status || e.Refusal().Code != c.refuse {
				t.Errorf("%q: code %q, status %d, refusal %v", e.Kind, e.Code, e.Status, e.Refusal())
			}
			if c.issuer.calls != 1 {
				t.Errorf("asked %d times: a redirect or retry carries the secret on", c.issuer.calls)
			}
		})
	}
}

// An issuer that is slow to answer, or drips its body, ends by the timeout.
func TestTokenTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &testIssuer{took: time.Hour}
		begin := time.Now()
		_, err := i.requestToken(t)
		if e := asError(t, err); e.Kind != Unavailable || !strings.Contains(e.Error(), "in time") {
			t.Errorf("%v", e)
		}
		if waited := time.Since(begin); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// A clock that is off makes every assertion invalid, which looks like a wrong
// key: only then, and only then, is it mentioned.
func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			off    time.Duration
			code   string
			says   string
			silent bool
		}{
			{5 * time.Minute, "invalid_client", "5m0s behind the issuer's", false},
			{-5 * time.Minute, "invalid_client", "5m0s ahead of the issuer's", false},
			{20 * time.Second, "invalid_client", "", true},
			{5 * time.Minute, "invalid_grant", "", true},
		} {
			i := &testIssuer{status: 400, body: `{"error":"` + c.code + `"}`, header: http.Header{"Date": {time.Now().Add(c.off).UTC().Format(http.TimeFormat)}}}
			_, err := i.requestToken(t)
			e := asError(t, err)
			if e.Skew != c.off {
				t.Errorf("skew %v, want %v", e.Skew, c.off)
			}
			if strings.Contains(e.Error(), "clock") == c.silent || !strings.Contains(e.Error(), c.says) {
				t.Errorf("%v by %v: %q", c.code, c.off, e)
			}
		}
		i := &testIssuer{status: 400, body: `{"error":"invalid_client"}`}
		_, err := i.requestToken(t)
		if e := asError(t, err); e.Skew != 0 {
			t.Errorf("skew %v without a Date", e.Skew)
		}
	})
}
