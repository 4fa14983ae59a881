// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
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
	presetClient = "study:1"
	presetSecret = "canary vendor-secret+%/1"
)

// presetCase is a source, and how its vendor is called.
type presetCase struct {
	name    string // of the simulator's preset, and of the catalogue's
	hand    string // the source's block, where it is by hand; {vendor} is the address
	allow   string // the route, behind the source's name
	body    string // of the call; empty: it is a GET
	patient bool   // the account is a patient's record
	keeps   bool   // there is nothing to refresh
}

// smartByHand has no address but the FHIR base: others are found by discovery.
const smartByHand = "smart {\n\tname \"St Mary's\"\n\tfhir_base {vendor}/R4\n\tclient_auth basic\n"

var presetCases = []presetCase{
	{name: "dexcom", allow: "GET /v3/users/self/egvs"},
	{name: "fatsecret", allow: "GET /rest/measurements", keeps: true},
	{name: "garmin", allow: "GET /wellness-api/rest/sleep"},
	{name: "google_health", allow: "GET /v4/users/me/sleep https://www.googleapis.com/auth/googlehealth.sleep.readonly"},
	{name: "oura", allow: "GET /v2/usercollection/sleep daily"},
	{name: "polar", allow: "GET /v3/exercises", keeps: true},
	{name: "smart", allow: "GET /Observation patient/Observation.rs", patient: true, hand: smartByHand},
	{name: "strava", allow: "GET /api/v3/activities activity:read_all"},
	{name: "whoop", allow: "GET /developer/v2/sleep read:sleep"},
	{name: "withings", allow: "POST /measure user.metrics", body: "action=getmeas"},
}

// presetRig is a running stack whose provider study has several sources, each of them
// at a simulated vendor.
type presetRig struct {
	*connection
	vendors map[string]*sources.Vendor
}

// startPresets starts a vendor for each source, and a Caddy in front of them.
func startPresets(t *testing.T, cases []presetCase) *presetRig {
	t.Helper()
	c := &presetRig{&connection{Stack: newStack(t), t: t}, make(map[string]*sources.Vendor)}
	t.Setenv("VENDOR_SECRET", presetSecret)
	var blocks, routes strings.Builder
	for _, p := range cases {
		v := sources.New(sources.Options{
			Preset: p.name, Accounts: sources.SampleAccounts(3), Clients: []sources.Client{{ID: presetClient, Secret: presetSecret, Name: "Study"}},
		})
		c.vendors[p.name] = v
		blocks.WriteString(presetBlock(t, p, v))
		method, rest, _ := strings.Cut(p.allow, " ")
		routes.WriteString("\n\t\t\tallow " + method + " /" + p.name + rest)
	}
	load(t, c.Stack, c.site(blocks.String(), routes.String()))
	return c
}

// site is a Caddyfile with these sources, and the routes of their data.
func (c *connection) site(blocks, routes string) string {
	return administered(`{` + stack.Options + `
	delegate {
		` + blocks + `
		provider study sources
		grants sqlite ` + filepath.Join(c.Dir, "grants", "grants.db") + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /data/* {` + stack.SignIn + `
		delegate_proxy study {
			subject {rp.header.Remote-User}` + routes + `
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
			then    /profile
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
}

// presetHost is a host in a preset's text.
var presetHost = regexp.MustCompile(`https://[a-z0-9.-]+`)

// presetBlock is a source's block: by hand or a preset's own text, in which each host
// is one of the vendor's on loopback; and a client.
func presetBlock(t *testing.T, p presetCase, v *sources.Vendor) string {
	t.Helper()
	serve := func() string {
		server := httptest.NewServer(v)
		t.Cleanup(server.Close)
		return server.URL
	}
	const client = "\tclient_id " + presetClient + "\n\tclient_secret {env.VENDOR_SECRET}\n\tallow_private\n}\n"
	if p.hand != "" {
		return "source " + p.name + " " + strings.ReplaceAll(p.hand, "{vendor}", serve()) + client
	}
	text, err := os.ReadFile(filepath.Join("..", "caddymodule", "sources", "presets", p.name+".caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(map[string]string)
	block := regexp.MustCompile(`scopes +.*|`+presetHost.String()).ReplaceAllStringFunc(string(text), func(found string) string {
		if strings.HasPrefix(found, "scopes") { // Google's look like addresses
			return found
		}
		if hosts[found] == "" {
			hosts[found] = serve()
		}
		return hosts[found]
	})
	return strings.TrimSuffix(strings.TrimSpace(block), "}") + client
}

// calls makes the preset's call as a person and returns the answer.
func (c *presetRig) calls(b *browser, p presetCase) answer {
	c.t.Helper()
	fields := strings.Fields(p.allow)
	header := []string{}
	if p.body != "" {
		header = []string{"Content-Type", "application/x-www-form-urlencoded", "Origin", c.URL()}
	}
	return b.do(fields[0], "/data/"+p.name+fields[1], p.body, header...)
}

// connects has a person consent, and wants the connection made.
func (c *presetRig) connects(b *browser, name string, d sources.Decision) {
	c.t.Helper()
	a := b.do(http.MethodPost, "/connect/start/"+name, "", "Origin", c.URL())
	var started struct{ URL string }
	if err := json.Unmarshal([]byte(a.body), &started); err != nil || a.StatusCode != http.StatusOK {
		c.t.Fatalf("start: %d %s", a.StatusCode, a.body)
	}
	to, err := c.vendors[name].Decide(started.URL, d)
	if err != nil {
		c.t.Fatalf("%v, at %s", err, started.URL)
	}
	a = b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther || u.Query().Get("connect") != "connected" || u.Query().Get("source") != name {
		c.t.Fatalf("back from %s: %d %v %s\n%s", to, a.StatusCode, a.Header["Location"], a.body, c.refusals(name))
	}
}

// refusals are what the vendor has refused.
func (c *presetRig) refusals(name string) string {
	var all strings.Builder
	for _, r := range c.vendors[name].Records() {
		if r.Reason != "" || r.Status >= 400 {
			all.WriteString(r.Method + " " + r.URI + ": " + r.Reason + "\n")
		}
	}
	return all.String()
}

// Every preset of the catalogue must lead from the page of consent to data, past the
// end of an access token, and out again, at a vendor that has the preset's quirks: a
// name, an address or a parameter that is wrong in its text costs people their data.
func TestSourcesPresets(t *testing.T) {
	testPresets(t, presetCases)
}

// testPresets takes a person through each of the sources.
func testPresets(t *testing.T, cases []presetCase) {
	c := startPresets(t, cases)
	for _, p := range cases {
		t.Run(p.name, func(t *testing.T) {
			c := &presetRig{&connection{Stack: c.Stack, t: t}, c.vendors}
			v, b := c.vendors[p.name], c.browser("ada-"+p.name)
			if a := c.calls(b, p); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "consent_required") {
				t.Errorf("before: %d %s", a.StatusCode, a.body)
			}
			account := sources.SampleAccounts(3)[1]
			c.connects(b, p.name, sources.Decision{Account: account.ID})
			want := account.ID
			if p.patient {
				want = account.Patients[0].ID
			}
			if a := c.calls(b, p); a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
				t.Fatalf("data: %d %s\n%s", a.StatusCode, a.body, c.refusals(p.name))
			}
			if !p.keeps {
				v.ExpireAccess()
				if a := c.calls(b, p); a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) || v.Counts().Refreshed != 1 {
					t.Errorf("after the access token: %d %s, refreshed %d times\n%s", a.StatusCode, a.body, v.Counts().Refreshed, c.refusals(p.name))
				}
			}
			if a := b.do(http.MethodDelete, "/connect/"+p.name, "", "Origin", c.URL()); a.StatusCode != http.StatusNoContent {
				t.Errorf("end: %d %s\n%s", a.StatusCode, a.body, c.refusals(p.name))
			}
			if a := c.calls(b, p); a.StatusCode != http.StatusForbidden {
				t.Errorf("afterwards: %d %s", a.StatusCode, a.body)
			}
			told := v.Settings().Revoke != "" && (p.hand == "" || p.patient) // by hand nothing says how, but a FHIR server does
			if n := v.Counts().Revoked; (n == 1) != told {
				t.Errorf("the vendor has ended %d consents\n%s", n, c.refusals(p.name))
			}
			if n := v.Counts(); n.RefreshReused != 0 || n.CodesReused != 0 || n.WrongSecrets != 0 || n.Redeemed != 1 {
				t.Errorf("%+v\n%s", n, c.refusals(p.name))
			}
		})
	}
}
