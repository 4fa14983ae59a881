// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

const revokeLines = `revoke POST /oauth2/revoke {
				auth basic
				form token {access}
			}`

// TestSourcesLeave protects people who leave from staying known to their vendor: it is
// told, with an access token that it takes. One that is away keeps nobody here; the page
// and the operator are told that it does not know yet.
func TestSourcesLeave(t *testing.T) {
	c := startSources(t, revokeLines, "")
	for _, away := range []bool{false, true} {
		b := c.browser("alice")
		c.connects(b, "city_lab", c.city, 1)
		c.city.ExpireAccess() // which nobody here has noticed
		if away {
			if err := c.city.SetMode("revoke_500"); err != nil {
				t.Fatal(err)
			}
		}
		before := c.city.Counts()
		want, body := http.StatusNoContent, ""
		if away {
			want, body = http.StatusAccepted, `{"vendor":"pending"}`
		}
		if a := b.do(http.MethodDelete, "/connect/city_lab", ""); a.StatusCode != want || strings.TrimSpace(a.body) != body {
			t.Errorf("away %t: %d %s", away, a.StatusCode, a.body)
		}
		after := c.city.Counts()
		if after.Revocations != before.Revocations+1 || (after.Revoked > before.Revoked) == away {
			t.Errorf("away %t: told %d times, ended %d", away, after.Revocations-before.Revocations, after.Revoked-before.Revoked)
		}
		c.is(b, "city_lab", "none   connect")
		isCode(t, b.do(http.MethodGet, cityMeasurements, ""), http.StatusForbidden, "consent_required")
	}
	warnings, _ := lines(t, c.logFile(), "a vendor could not be told that a user has left")
	if len(warnings) != 1 || warnings[0]["provider"] != "study" || warnings[0]["source"] != "city_lab" || warnings[0]["cause"] == "" {
		t.Errorf("the log has %v", warnings)
	}
	for name := range warnings[0] {
		if !slices.Contains([]string{"level", "ts", "logger", "msg", "provider", "source", "cause"}, name) {
			t.Errorf("the log says of somebody who has left: %s", name)
		}
	}
}

// TestSourcesLeaveHanging protects people who leave from vendors that do not answer:
// while these are told, nothing is connected any more, at none of the sources.
func TestSourcesLeaveHanging(t *testing.T) {
	c := startSources(t, revokeLines, "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	c.connects(b, "harbor_lab", c.harbor, 1)
	for _, v := range []*sources.Vendor{c.city, c.harbor} {
		if err := v.SetMode("revoke_slow"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = v.SetMode() }() // whatever fails: it would hold the request
	}
	before := c.city.Counts().Revoked + c.harbor.Counts().Revoked
	var leaving sync.WaitGroup
	leaving.Go(func() {
		if a := b.do(http.MethodDelete, "/connect/", ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	for _, path := range []string{cityMeasurements, "/data/harbor_lab/measurements"} {
		eventually(t, "the end of "+path, func() bool { return b.do(http.MethodGet, path, "").StatusCode == http.StatusForbidden })
	}
	if now := c.city.Counts().Revoked + c.harbor.Counts().Revoked; now != before {
		t.Error("the vendors did not hang")
	}
	for _, v := range []*sources.Vendor{c.city, c.harbor} {
		if err := v.SetMode(); err != nil {
			t.Fatal(err)
		}
	}
	leaving.Wait()
	if now := c.city.Counts().Revoked + c.harbor.Counts().Revoked; now != before+2 {
		t.Errorf("ended %d consents", now-before)
	}
}
