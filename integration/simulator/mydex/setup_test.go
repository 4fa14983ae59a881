// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The link is of the documented form, and the picture one that phones read as it.
func TestSetup(t *testing.T) {
	p := newPlatform(t)
	r := p.do("POST", p.identity+"/ftc/setup", setupBody(nil), p.bearer())
	wantStatus(t, r, http.StatusCreated)
	link := regexp.MustCompile(`^` + regexp.QuoteMeta(p.identity) + `/ftc/begin/45678/[A-Za-z0-9_-]{32}/1$`)
	if !link.MatchString(r.json["url"].(string)) || len(r.json) != 2 {
		t.Errorf("answer %s", r.body)
	}
	if got := scan(t, r.json["qr"].(string)); got != r.json["url"] {
		t.Errorf("the QR code says %q, the link is %q", got, r.json["url"])
	}
	p.SetLoginURL("https://login.example.org/")
	if got := p.link(map[string]any{"version": 2, "mydexid": "Robin101"}); !strings.HasPrefix(got, "https://login.example.org/ftc/begin/45678/") || !strings.HasSuffix(got, "/2") {
		t.Errorf("link %s", got)
	}
	if c := p.Counts(); c.Setups != 2 {
		t.Errorf("counts %+v", c)
	}
}

func TestSetupIsJudged(t *testing.T) {
	p := newPlatform(t)
	bearer := p.bearer()
	for name, tt := range map[string]struct {
		body   string
		bearer string
		status int
	}{
		"nulls":                {setupBody(map[string]any{"mydexid": json.RawMessage("null"), "version": json.RawMessage("null"), "linking_token": json.RawMessage("null")}), bearer, 201},
		"known member":         {setupBody(map[string]any{"mydexid": "Robin101"}), bearer, 201},
		"update":               {setupBody(map[string]any{"mydexid": "Robin101", "version": 2}), bearer, 201},
		"update without whom":  {setupBody(map[string]any{"version": 2}), bearer, 400},
		"unknown member":       {setupBody(map[string]any{"mydexid": "Nobody"}), bearer, 400},
		"version is 0":         {setupBody(map[string]any{"version": 0}), bearer, 400},
		"version is text":      {setupBody(map[string]any{"version": "1"}), bearer, 400},
		"another connection":   {setupBody(map[string]any{"connection_nid": "45679"}), bearer, 400},
		"nid is a number":      {setupBody(map[string]any{"connection_nid": 45678}), bearer, 400},
		"no nid":               {setupBody(map[string]any{"connection_nid": nil}), bearer, 400},
		"token, not its hash":  {setupBody(map[string]any{"connection_token_hash": token}), bearer, 400},
		"hash in capitals":     {setupBody(map[string]any{"connection_token_hash": strings.ToUpper(Hash(token))}), bearer, 400},
		"no return_to":         {setupBody(map[string]any{"return_to": nil}), bearer, 400},
		"return_to is a path":  {setupBody(map[string]any{"return_to": "/back"}), bearer, 400},
		"return_to is script":  {setupBody(map[string]any{"return_to": "javascript://x/%0aalert(1)"}), bearer, 400},
		"no JSON":              {"connection_nid=45678", bearer, 400},
		"no bearer":            {setupBody(nil), "X: y", 401},
		"bad bearer":           {setupBody(nil), "Authorization: Bearer x", 401},
		"bearer without scope": {setupBody(nil), p.bearer("get:/calendar/get-events"), 401},
	} {
		r := p.do("POST", p.identity+"/ftc/setup", tt.body, tt.bearer)
		if r.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, r.StatusCode, tt.status, r.body)
		}
		if tt.status == 400 && (r.json["success"] != 0.0 || r.json["message"] == "") || tt.status == 401 && r.json["error"] == nil {
			t.Errorf("%s: %s", name, r.body)
		}
	}
	wantStatus(t, p.do("GET", p.identity+"/ftc/setup", ""), http.StatusMethodNotAllowed)
	wantStatus(t, p.do("GET", p.identity+"/timeline", ""), http.StatusNotFound)
}
