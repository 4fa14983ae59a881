// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	labClient = "study:1"
	labSecret = "canary-lab-client-secret"
)

// sourcesRig is a running stack whose provider study has the sources city_lab and
// harbor_lab, two vendors without quirks.
type sourcesRig struct {
	*connection
	city, harbor       *sources.Vendor
	cityURL, harborURL string
}

// startSources starts the vendors and a Caddy in front of them. lines go into each
// source's block, connect into delegate_connect.
func startSources(t testing.TB, lines, connect string) *sourcesRig {
	t.Helper()
	c := &sourcesRig{connection: &connection{Stack: newStack(t), t: t}}
	c.city, c.cityURL = newLab(t, "City lab")
	c.harbor, c.harborURL = newLab(t, "Harbor lab")
	t.Setenv("LAB_SECRET", labSecret)
	c.use(lines, connect)
	return c
}

func newLab(t testing.TB, name string) (vendor *sources.Vendor, address string) {
	vendor = sources.New(sources.Options{
		Name: name, Accounts: sources.SampleAccounts(60), Clients: []sources.Client{{ID: labClient, Secret: labSecret, Name: "Study"}},
	})
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	return vendor, server.URL
}

// use has Caddy run with other lines.
func (c *sourcesRig) use(lines, connect string) {
	c.t.Helper()
	load(c.t, c.Stack, c.caddyfileOf(lines, connect))
}

func (c *sourcesRig) caddyfileOf(lines, connect string) string {
	return administered(`{` + stack.Options + `
	log {
		output file ` + c.logFile() + `
	}
	delegate {
		` + labSource("city_lab", "City lab", c.cityURL, lines) + `
		` + labSource("harbor_lab", "Harbor lab", c.harborURL, lines) + `
		provider study sources
		grants sqlite ` + filepath.Join(c.Dir, "grants", "grants.db") + `
	}
}
http://127.0.0.1:[[.Port]] {
	log
	handle_path /data/* {` + stack.SignIn + `
		delegate_proxy study {
			subject {rp.header.Remote-User}
			allow GET /city_lab/measurements results.read
			allow GET /city_lab/sleep activity.read
			allow GET /harbor_lab/measurements results.read
		}
	}
	handle_path /connect/* {
		@private not method OPTIONS
		forward_auth @private [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect study {
			url     http://127.0.0.1:[[.Port]]/connect
			then    /profile?tab=data
			subject {rp.header.Remote-User}
			` + connect + `
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
}

func labSource(name, title, address, lines string) string {
	return `source ` + name + ` {
			name              "` + title + `"
			auth_host_url     ` + address + `
			api_host_url      ` + address + `/v1
			auth_url          /oauth2/authorize
			request_token_url none
			access_token_url  ` + address + `/oauth2/token
			full_auth_url     auto
			client_id         ` + labClient + `
			client_secret     {env.LAB_SECRET}
			scopes            results.read activity.read
			account           get ` + address + `/v1/me id
			label             get ` + address + `/v1/me email
			allow_private
			` + lines + `
		}`
}

// logFile is the file of Caddy's log, with all requests.
func (c *sourcesRig) logFile() string { return filepath.Join(c.Dir, "caddy.log") }

// begins begins a flow and returns the vendor's page.
func (c *sourcesRig) begins(b *browser, endpoint, body string) string {
	c.t.Helper()
	a := b.do(http.MethodPost, "/connect"+endpoint, body, "Content-Type", "application/json")
	var started struct {
		URL     string
		Expires int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(a.body), &started); err != nil || a.StatusCode != http.StatusOK || started.URL == "" || started.Expires < 3000 {
		c.t.Fatalf("%s: %d %s", endpoint, a.StatusCode, a.body)
	}
	return started.URL
}

// decides has a person decide at a vendor, and returns where their browser is led.
func (c *sourcesRig) decides(v *sources.Vendor, page string, d sources.Decision) string {
	c.t.Helper()
	to, err := v.Decide(page, d)
	if err != nil {
		c.t.Fatalf("%v at %s", err, page)
	}
	return to
}

// goesOn is where a page of ours goes on by itself.
var goesOn = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=(/[^"]*)">`)

// comesBack follows the vendor's redirect, as from its site, and returns where the
// browser is sent. Where nobody seems to be signed in, it comes once more as from ours.
func (c *sourcesRig) comesBack(b *browser, to string) string {
	c.t.Helper()
	a := b.navigates(to, "cross-site")
	if next := goesOn.FindStringSubmatch(a.body); next != nil {
		isPage(c.t, a, http.StatusOK)
		a = b.navigates(html.UnescapeString(next[1]), "same-origin")
	}
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Referrer-Policy") != "no-referrer" {
		c.t.Errorf("back: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	return a.Header.Get("Location")
}

// connects goes all the way.
func (c *sourcesRig) connects(b *browser, source string, v *sources.Vendor, account int) {
	c.t.Helper()
	to := c.comesBack(b, c.decides(v, c.begins(b, "/start/"+source, ""), sources.Decision{Account: accountID(account)}))
	if u, err := url.Parse(to); err != nil || u.Query().Get("connect") != "connected" || u.Query().Get("source") != source {
		c.t.Errorf("after %s: %q", source, to)
	}
}

// accountID is the ID of a vendor's sample account.
func accountID(n int) string { return sources.SampleAccounts(n + 1)[n].ID }

// sourceStates are the states of all sources, as /status tells them.
type sourceStates struct {
	Status  string
	Sources map[string]struct {
		Status, Account, Code string
		Missing               []string `json:"missing_scopes"`
		Actions               []string
		APIBase               string `json:"api_base"`
	}
}

// states asks for the states of the sources.
func (c *sourcesRig) states(b *browser, endpoint string) (s sourceStates) {
	c.t.Helper()
	a := b.do(http.MethodGet, "/connect"+endpoint, "")
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d %s", endpoint, a.StatusCode, a.body)
	}
	return s
}

// is wants the state of a source: its status, account, missing scopes and actions.
func (c *sourcesRig) is(b *browser, source, want string) {
	c.t.Helper()
	s := c.states(b, "/status").Sources[source]
	if got := strings.Join(append([]string{s.Status, s.Account, strings.Join(s.Missing, ",")}, s.Actions...), " "); got != want {
		c.t.Errorf("%s: %q; want %q", source, got, want)
	}
}

// newLogo is the file of a source's logo.
func newLogo(t testing.TB) string {
	t.Helper()
	logo := filepath.Join(t.TempDir(), "lab.svg")
	const image = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`
	if err := os.WriteFile(logo, []byte(image), 0o600); err != nil {
		t.Fatal(err)
	}
	return logo
}
