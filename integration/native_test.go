// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// native is a client shaped like the vendor's iOS SDK: no cookies, the app's
// session in the bearer slot, some paths with a slash too many, errors told
// apart by 401 and by 429 with its three headers.
type native struct {
	user
	bearer string
}

func (n *native) call(method, path, body string) answer {
	n.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, n.url()+"/mdh/"+path, content)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.bearer)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Language", "de-DE")
	req.Header.Set("User-Agent", "org.example.study/1.0 MyDataHelpsKit/2.0.0 iPhone (17.5)")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return n.do(req)
}

// TestNativeClient protects phones: every call of the iOS SDK, as the person
// whose app session is in the bearer slot, which stays here.
func TestNativeClient(t *testing.T) {
	caddyfile := strings.Replace(stack.Caddyfile, "delegate_proxy mydatahelps {", `delegate_proxy mydatahelps {
			allow GET /api/v1/delegated/**
			allow POST /api/v1/delegated/**
			allow DELETE /api/v1/delegated/surveyresults/*
			allow DELETE /api/cfhrprovideraccounts/account/*`, 1)
	over(t, caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
		n := &native{user: *u, bearer: u.session}
		for _, path := range []string{
			"participant", "project", "datacollectionsettings", "devicedata", "surveyanswers", "surveytasks", "notifications",
			"externalaccounts", "externalaccountproviders?pageSize=100&pageNumber=0",
		} {
			got := n.call(http.MethodGet, "api/v1/delegated/"+path, "")
			got.want(t, http.StatusOK, "")
			if !json.Valid([]byte(got.body)) {
				t.Errorf("%s: %s", path, got.body)
			}
			for _, name := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
				if got.Header.Get(name) == "" {
					t.Errorf("%s: no %s", path, name)
				}
			}
		}
		var accounts []struct{ ID int }
		if err := json.Unmarshal([]byte(n.call(http.MethodGet, "api/v1/delegated/externalaccounts", "").body), &accounts); err != nil || len(accounts) == 0 {
			t.Fatalf("external accounts: %v", err)
		}
		account := strconv.Itoa(accounts[0].ID)
		for _, c := range [][3]string{
			{http.MethodPost, "api/v1/delegated/devicedata", `[{"type":"HeartRate","value":"60","observationDate":"2026-01-01T00:00:00Z","namespace":"Project"}]`},
			{http.MethodPost, "/api/v1/delegated/externalaccounts/refresh/" + account, ""},
			{http.MethodDelete, "/api/cfhrprovideraccounts/account/" + account + "?deleteData=true", ""},
		} {
			if got := n.call(c[0], c[1], c[2]); got.StatusCode/100 != 2 {
				t.Errorf("%s %s: %d %s", c[0], c[1], got.StatusCode, got.body)
			}
		}
		for _, r := range s.Platform.Records() {
			if r.Area == "delegated" && r.ParticipantID != stack.Alice.ID {
				t.Errorf("%s went out as %q", r.URI, r.ParticipantID)
			}
			if strings.Contains(r.Header.Get("Authorization"), n.bearer) {
				t.Errorf("%s: the app's session went to the platform", r.URI)
			}
		}
		n.bearer = "ended"
		if got := n.call(http.MethodGet, "api/v1/delegated/participant", ""); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("an ended session: %d", got.StatusCode)
		}
	})
}
