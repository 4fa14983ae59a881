// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The claim becomes exactly one segment of the path: whatever it holds, it
// must not reach another resource of the administrative API.
func TestIdentifierEscaping(t *testing.T) {
	for claim, segment := range map[string]string{
		"AA-0000-0000":           "AA-0000-0000",
		"auth0|1 2":              "auth0%7C1%202",
		"a/b":                    "a%2Fb",
		"../../participants":     "..%2F..%2Fparticipants",
		"a?pageSize=1#x":         "a%3FpageSize=1%23x",
		"a;b,c":                  "a%3Bb%2Cc",
		"%2e%2e":                 "%252e%252e",
		"...":                    "...",
		"Zoë":                    "Zo%C3%AB",
		`a\b`:                    "a%5Cb",
		strings.Repeat("x", 256): strings.Repeat("x", 256),
	} {
		synctest.Test(t, func(t *testing.T) {
			pf := newPlatform(person{id: guid(7), identifier: claim})
			p, _ := open(t, testConfig(ByIdentifier), pf)
			wantParticipant(t, p, claim, guid(7), "")
			if len(pf.gets) != 1 || pf.gets[0] != segment {
				t.Errorf("%q was asked for as %q", claim, pf.gets)
			}
		})
	}
}

// A claim that cannot be one segment is nobody's, and is not asked for.
func TestIdentifierImpossible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 1)
		for _, claim := range []string{"", ".", "..", "a\x00", "a\nb", "a\x7f", "a\u0085", "a\xff", strings.Repeat("x", 257)} {
			d := request("planted")
			d.Claim = claim
			if _, err := p.Authorize(t.Context(), d); asRefusal(t, err).Code != delegation.ParticipantUnknown {
				t.Errorf("%q: %v", claim, err)
			}
		}
		if gets, lists, grants, service := pf.counts(); gets+lists+grants+service != 0 {
			t.Error("the platform was asked")
		}
	})
}

// Only an answer that is byte for byte about who was asked for lets anybody
// in. A platform that ignores case, cleans paths or takes IDs as well would
// otherwise make one user of the app another's participant.
func TestIdentifierAnswers(t *testing.T) {
	redirect := reply(307, "")
	redirect.Header.Set("Location", testBase+"/planted")
	for name, c := range map[string]struct {
		answer *http.Response
		code   delegation.Code
	}{
		"other case":       {reply(200, person{id: guid(1), identifier: "PLANTED-0"}.json()), delegation.ParticipantUnknown},
		"other person":     {reply(200, person{id: guid(1), identifier: "planted-1"}.json()), delegation.ParticipantUnknown},
		"trailing space":   {reply(200, person{id: guid(1), identifier: "planted-0 "}.json()), delegation.ParticipantUnknown},
		"no identifier":    {reply(200, map[string]any{"id": guid(1)}), delegation.ParticipantUnknown},
		"null":             {reply(200, "null"), delegation.ParticipantUnknown},
		"no ID":            {reply(200, person{identifier: "planted-0"}.json()), delegation.IssuerUnavailable},
		"ID is no GUID":    {reply(200, person{id: "planted-0", identifier: "planted-0"}.json()), delegation.IssuerUnavailable},
		"withdrawn":        {reply(200, person{id: guid(1), identifier: "planted-0", withdrawn: "2026-01-01T00:00:00Z"}.json()), delegation.ParticipantWithdrawn},
		"404":              {reply(404, "planted"), delegation.ParticipantUnknown},
		"403":              {reply(403, "planted"), delegation.CredentialsRejected},
		"429":              {reply(429, "planted"), delegation.IssuerThrottled},
		"500":              {reply(500, "planted"), delegation.IssuerUnavailable},
		"307":              {redirect, delegation.IssuerUnavailable},
		"204":              {reply(204, ""), delegation.IssuerUnavailable},
		"HTML":             {reply(200, "<html>planted"), delegation.IssuerUnavailable},
		"empty":            {reply(200, ""), delegation.IssuerUnavailable},
		"list":             {reply(200, "[]"), delegation.IssuerUnavailable},
		"cut off":          {reply(200, `{"id":"planted`), delegation.IssuerUnavailable},
		"trailing garbage": {reply(200, `{"id":"`+guid(1)+`","participantIdentifier":"planted-0"} planted`), delegation.IssuerUnavailable},
		"2 MiB":            {reply(200, `{"id":"`+guid(1)+`","participantIdentifier":"planted-0","x":"`+strings.Repeat("x", 2<<20)+`"}`), delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pf := newPlatform(people(1)...)
				p, h := open(t, testConfig(ByIdentifier), pf)
				pf.admin = func(req *http.Request) *http.Response {
					if strings.HasSuffix(req.URL.Path, "/participants") {
						return nil // the project is known
					}
					return c.answer
				}
				wantParticipant(t, p, "planted-0", "", c.code)
				if gets, _, grants, _ := pf.counts(); gets != 1 || grants != 0 {
					t.Errorf("%d lookups, %d grants", gets, grants)
				}
				mismatch := c.code == delegation.ParticipantUnknown && name != "404"
				if logged := h.logs.FilterMessageSnippet("another participant").Len(); (logged == 1) != mismatch {
					t.Errorf("the operator was told %d times", logged)
				}
			})
		})
	}
}

// An answer that outgrows what is read must be told from one that is damaged:
// the operator mends them in different places.
func TestLookupTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform()
		p, _ := open(t, testConfig(ByIdentifier), pf)
		pf.admin = func(*http.Request) *http.Response { return reply(200, "{}"+strings.Repeat(" ", maxAnswer)) }
		_, err := p.Authorize(t.Context(), request("planted-0"))
		if cause := asRefusal(t, err).Unwrap().Error(); !strings.Contains(cause, "too large") {
			t.Error(cause)
		}
	})
}

// The address of a lookup names the person, and so do net/http's errors.
func TestLookupErrorsNameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(1)...)
		pf.delay = time.Hour
		p, _ := open(t, testConfig(ByIdentifier), pf)
		begin := time.Now()
		wantParticipant(t, p, "planted-0", "", delegation.IssuerUnavailable)
		if waited := time.Since(begin); waited != delegation.DefaultTimeout {
			t.Errorf("waited %v", waited)
		}
	})
}

// A platform that fails for many people is left alone for a moment, and its
// hourly quota is not spent on finding out. Of those whom it never knew a few
// prove nothing: a firewall may dislike their names.
func TestSickPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pf := openWith(t, ByIdentifier, 50)
		pf.admin = func(*http.Request) *http.Response { return reply(503, "") }
		for i := range 50 {
			wantParticipant(t, p, fmt.Sprintf("planted-%d", i), "", delegation.IssuerUnavailable)
		}
		if gets, _, _, _ := pf.counts(); gets != circuit.MinNewPeople {
			t.Errorf("%d lookups", gets)
		}
		pf.change(func() { pf.admin = nil })
		time.Sleep(2 * time.Second)
		wantParticipant(t, p, "planted-7", guid(7), "")
		wantParticipant(t, p, "planted-8", guid(8), "")
	})
}
