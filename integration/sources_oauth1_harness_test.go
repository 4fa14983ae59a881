// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const oldLabSecret = "canary-old-lab&secret"

// oldLab is a running stack with a vendor of OAuth 1.0a: the simulator's "Old lab".
type oldLab struct {
	*connection
	vendor *sources.Vendor
	log    string // the file of Caddy's log; at DEBUG Caddy's own handlers print addresses
}

// startOldLab starts the vendor, and a Caddy in front of it. lines go into the source's
// block; change may be nil.
func startOldLab(t testing.TB, lines string, change func(*sources.Settings)) *oldLab {
	t.Helper()
	s := newStack(t)
	l := &oldLab{
		connection: &connection{Stack: s, t: t}, log: filepath.Join(t.TempDir(), "caddy.log"),
		vendor: sources.New(sources.Options{Preset: "old_lab", Clients: []sources.Client{{ID: "study", Secret: oldLabSecret, Name: "Study"}}, Accounts: sources.SampleAccounts(3)}),
	}
	if change != nil {
		l.vendor.Set(change)
	}
	server := httptest.NewServer(l.vendor)
	t.Cleanup(server.Close)
	l.url = server.URL
	t.Setenv("OLD_LAB_SECRET", oldLabSecret)
	t.Cleanup(func() {
		if log, err := os.ReadFile(l.log); t.Failed() && err == nil && testing.Verbose() {
			t.Logf("%s", log)
		}
	})
	load(t, s, administered(`{`+stack.Options+`
	log {
		output file `+l.log+`
	}
	delegate {
		source old_lab {
			name              "Old lab"
			auth_host_url     `+l.url+`
			api_host_url      `+l.url+`
			auth_url          /oauth1/authorize
			request_token_url /oauth1/request_token
			access_token_url  /oauth1/access_token
			full_auth_url     auto
			client_id         study
			client_secret     {env.OLD_LAB_SECRET}
			allow_private
			account           get /v1/me id
			label             get /v1/me name
			`+lines+`
		}
		provider study sources
		grants sqlite `+filepath.Join(s.Dir, "grants", "grants.db")+`
	}
}
http://127.0.0.1:[[.Port]] {
	log
	handle_path /sources/* {`+stack.SignIn+`
		delegate_proxy study {
			subject {rp.header.Remote-User}
			allow GET /old_lab/v1/**
			allow POST /old_lab/v1/notes
			allow DELETE /old_lab/v1/**
			allow POST /old_lab/oauth1/**
		}
	}
	handle_path /connect/* {
		@member not method OPTIONS
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect study {
			url     http://127.0.0.1:[[.Port]]/connect
			then    /profile
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`))
	return l
}

// begins begins a flow in a browser, and returns the vendor's page.
func (l *oldLab) begins(b *browser) string {
	l.t.Helper()
	a := b.do(http.MethodPost, "/connect/start/old_lab", "")
	var begun struct{ URL string }
	if err := json.Unmarshal([]byte(a.body), &begun); err != nil || a.StatusCode != http.StatusOK || begun.URL == "" {
		l.t.Fatalf("start: %d %s", a.StatusCode, a.body)
	}
	return begun.URL
}

// decides has a person decide on the vendor's page, and returns where that leads.
func (l *oldLab) decides(page string, d sources.Decision) string {
	l.t.Helper()
	to, err := l.vendor.Decide(page, d)
	if err != nil {
		l.t.Fatal(err)
	}
	return to
}

// comesBack has the browser follow the vendor's redirect, and returns the outcome.
func (l *oldLab) comesBack(b *browser, to string) string {
	l.t.Helper()
	a := b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	at, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther || at.Path != "/profile" || at.Query().Get("source") != "old_lab" {
		l.t.Errorf("back: %d %q %s", a.StatusCode, a.Header.Get("Location"), a.body)
		return ""
	}
	return at.Query().Get("connect")
}

// connects goes all the way with one of the vendor's accounts.
func (l *oldLab) connects(b *browser, account string) {
	l.t.Helper()
	if outcome := l.comesBack(b, l.decides(l.begins(b), sources.Decision{Account: account})); outcome != "connected" {
		l.t.Fatalf("the flow ended with %q", outcome)
	}
}

// isState wants the source to be in a state for a person.
func (l *oldLab) isState(b *browser, want string) {
	l.t.Helper()
	a := b.do(http.MethodGet, "/connect/status/old_lab", "")
	if !strings.Contains(a.body, `"old_lab":{"status":"`+want+`"`) {
		l.t.Errorf("status %d %s; want %s", a.StatusCode, a.body, want)
	}
}

// leaksNothing wants Caddy's log to have neither secrets nor accounts.
func (l *oldLab) leaksNothing(people []sources.Account) {
	l.t.Helper()
	log, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	secrets := []string{oldLabSecret, url.QueryEscape(oldLabSecret), "oauth_signature", "oauth_token=", "oauth_verifier=", "request-", "verifier-"}
	for _, p := range people {
		secrets = append(secrets, p.Name)
	}
	for _, s := range secrets {
		if at := strings.Index(string(log), s); at >= 0 {
			l.t.Errorf("the log has %q: …%s…", s, log[max(0, at-200):min(len(log), at+100)])
		}
	}
}
