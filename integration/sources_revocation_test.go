// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestSourcesRevokedLater protects people who leave from staying known to a vendor that
// is away: it is told once it is back, once, also by the Caddy that has the database next.
// Who connects the account again meanwhile keeps it.
func TestSourcesRevokedLater(t *testing.T) {
	c := startSources(t, revokeLines, "")
	b := c.browser("alice")
	leave := func(source string, v *sources.Vendor) {
		t.Helper()
		if err := v.SetMode("revoke_500"); err != nil {
			t.Fatal(err)
		}
		if a := b.do(http.MethodDelete, "/connect/"+source, ""); a.StatusCode != http.StatusAccepted || strings.TrimSpace(a.body) != `{"vendor":"pending"}` {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		c.is(b, source, "none   connect")
	}
	c.connects(b, "city_lab", c.city, 1)
	c.connects(b, "harbor_lab", c.harbor, 2)
	leave("harbor_lab", c.harbor)
	c.connects(b, "harbor_lab", c.harbor, 2)
	leave("city_lab", c.city)
	before := c.city.Counts()
	c.use(revokeLines+"\n", "") // another configuration goes on
	if err := c.harbor.SetMode(); err != nil {
		t.Fatal(err)
	}
	if err := c.city.SetMode(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the vendor is told", func() bool { return c.city.Counts().Revoked == before.Revoked+1 })
	if now := c.harbor.Counts(); now.Revoked != 0 {
		t.Errorf("%d consents were ended of an account that is connected again", now.Revoked)
	}
	if a := b.do(http.MethodGet, "/data/harbor_lab/measurements", ""); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if now := c.city.Counts(); now.Revoked != before.Revoked+1 {
		t.Errorf("ended %d times", now.Revoked-before.Revoked)
	}
}

// TestSourcesEnds protects participants from an app that goes on with their data when
// their study has ended, and from being connected without that being known.
func TestSourcesEnds(t *testing.T) {
	c := startSources(t, revokeLines, "")
	study := new(studyEnd)
	c.App.Handle("/study", study.of(c.App))
	load(t, c.Stack, strings.NewReplacer("uri /auth", "uri /study", "provider study sources", "provider study sources {\n\t\t\tends {rp.header.Study-End}\n\t\t}").Replace(c.caddyfileOf(revokeLines, "")))
	b := c.browser("alice")
	for value, want := range map[string]struct {
		status int
		code   string
	}{
		"":                     {http.StatusInternalServerError, "not_delegated"},
		"the end of June":      {http.StatusInternalServerError, "not_delegated"},
		"1577836800000":        {http.StatusInternalServerError, "not_delegated"},
		"2020-01-01T00:00:00Z": {http.StatusForbidden, "route_denied"},
	} {
		study.set(value)
		isCode(t, b.do(http.MethodPost, "/connect/start/city_lab", ""), want.status, want.code)
	}
	if out, err := why(t, c.Stack, "--last", "50"); err != nil {
		t.Error(err)
	} else { // an operator is not sent to the policy alone, nor to rewrites
		contains(t, out, "sessions without the time that `ends` names", "at delegate_connect see cause")
	}
	study.set(time.Now().Add(time.Hour).Format(time.RFC3339))
	c.connects(b, "city_lab", c.city, 1)
	if a := b.do(http.MethodGet, cityMeasurements, ""); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	before := c.city.Counts()
	study.set(fmt.Sprint(time.Now().Add(2 * time.Second).Unix()))
	c.states(b, "/status") // a signed-in request
	eventually(t, "the end", func() bool { return b.do(http.MethodGet, cityMeasurements, "").StatusCode == http.StatusForbidden })
	eventually(t, "the vendor is told", func() bool { return c.city.Counts().Revoked == before.Revoked+1 })
	c.is(b, "city_lab", "none   connect")
	ended, text := lines(t, c.logFile(), "consent")
	if log := fmt.Sprint(ended); !strings.Contains(log, "event:ended") || !strings.Contains(log, "by:schedule") {
		t.Errorf("the log has %s", log)
	}
	if !strings.Contains(text, "ends {http.reverse_proxy.header.Study-End}: it is neither") {
		t.Error("the log does not name the setting")
	}
}

// TestSourcesEndsOnPage protects participants whose study ends earlier than it was to, and
// who meet nothing of it but the page of sources.
func TestSourcesEndsOnPage(t *testing.T) {
	c := startSources(t, revokeLines, "page")
	study := new(studyEnd)
	c.App.Handle("/study", study.of(c.App))
	load(t, c.Stack, strings.NewReplacer("uri /auth", "uri /study", "provider study sources", "provider study sources {\n\t\t\tends {rp.header.Study-End}\n\t\t}").Replace(c.caddyfileOf(revokeLines, "page")))
	b := c.browser("alice")
	study.set(time.Now().Add(time.Hour).Format(time.RFC3339))
	c.connects(b, "city_lab", c.city, 1)
	study.set(time.Now().Add(-time.Hour).Format(time.RFC3339))
	if a := b.do(http.MethodGet, cityMeasurements, ""); a.StatusCode != http.StatusOK {
		t.Errorf("before the page is opened: %d %s", a.StatusCode, a.body)
	}
	if a := b.do(http.MethodGet, "/connect/", ""); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	isCode(t, b.do(http.MethodGet, cityMeasurements, ""), http.StatusForbidden, "consent_required")
}

// studyEnd is what an auth server says of the end of everybody's study.
type studyEnd struct{ value atomic.Value }

func (e *studyEnd) set(value string) { e.value.Store(value) }

// of answers forward_auth as the app does, with the end.
func (e *studyEnd) of(app *stack.App) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, user := app.Session(r)
		if user == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Remote-User", user)
		if value, _ := e.value.Load().(string); value != "" {
			w.Header().Set("Study-End", value)
		}
	})
}
