// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// teamToken is a refresh token of the city lab for one of its accounts, as a team has
// got it with a program of its own.
func (c *sourcesRig) teamToken(account int) string {
	c.t.Helper()
	c.city.Set(func(s *sources.Settings) { s.PKCE = "optional" })
	const redirect = "http://127.0.0.1/return"
	to := c.decides(c.city, c.cityURL+"/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {labClient}, "redirect_uri": {redirect}, "scope": {"results.read activity.read"}, "state": {"0123456789"},
	}.Encode(), sources.Decision{Account: accountID(account)})
	at, err := url.Parse(to)
	if err != nil || at.Query().Get("code") == "" {
		c.t.Fatalf("the team's consent: %q", to)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {at.Query().Get("code")}, "redirect_uri": {redirect}, "client_id": {labClient}, "client_secret": {labSecret}}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.cityURL+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var reply struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil || reply.Refresh == "" {
		c.t.Fatalf("the team's tokens: %d %v", res.StatusCode, err)
	}
	return reply.Refresh
}

// importLine is a line of a team's own table.
func importLine(subject, account, refresh string) string {
	text, _ := json.Marshal(map[string]any{"realm": "default", "subject": subject, "account": account, "label": subject + "@team", "refresh_token": refresh})
	return string(text) + "\n"
}

// importShell is a shell with the configuration of the rig, and a file of lines.
func importShell(t *testing.T, c *sourcesRig, lines string) *shell {
	t.Helper()
	sh := newShell(t)
	sh.rendered(c.Stack, c.caddyfileOf("", ""))
	sh.write("file.jsonl", lines)
	return sh
}

// imports runs an import, and returns what it says with its exit code. It must not
// print what the lines say.
func (sh *shell) imports(args string) string {
	sh.t.Helper()
	said := sh.run("caddy delegate grants import " + args + " < file.jsonl && code=0 || code=$?\necho code $code")
	for _, secret := range []string{"mira", "otto", "lou", "user-", "@team", accountID(0), accountID(1), labSecret, "refresh-"} {
		if strings.Contains(said, secret) {
			sh.t.Errorf("%q is printed:\n%s", secret, said)
		}
	}
	return said
}

// TestSourcesImport protects a team's people, who have connected by the team's own
// program: their refresh tokens are taken over beside a Caddy that runs, each spent
// once, and nobody has to consent again; what is wrong with a line is told by its number.
func TestSourcesImport(t *testing.T) {
	c := startSources(t, "", "")
	mira, otto := c.teamToken(0), c.teamToken(1)
	lou := c.browser("lou")
	c.connects(lou, "city_lab", c.city, 2)
	spent := c.city.Counts()
	lines := importLine("mira", accountID(0), mira) + "\n" + importLine("otto", accountID(1), otto) +
		importLine("lou", accountID(2), "unknown") + // has connected here
		importLine("joe", accountID(2), "unknown-2") + // lou's account
		importLine("kim", accountID(9), "unknown-3") + // no token of the vendor's
		`{"realm":"default","subject":"max","refresh_token":"x"}` + "\n" + `{"user":"mira"}` + "\n" + "mira@team\n"
	sh := importShell(t, c, lines)

	contains(t, sh.imports("--source study/city_lab --dry-run"),
		"line 1: valid", "line 3: valid", "line 7: invalid: account is missing", "line 8: invalid: it has a field that is none of realm", "line 9: invalid: ",
		"in short: 3 invalid, 5 valid", "code 4")
	if now := c.city.Counts(); fmt.Sprint(now) != fmt.Sprint(spent) {
		t.Errorf("a dry run has called the vendor: %+v", now)
	}
	contains(t, sh.imports("--source study/city_lab --concurrency 3"),
		"line 1: imported\n", "line 3: imported\n", "line 4: connected already\n", "line 5: conflict: ", "line 6: refused: delegation_refused: the token endpoint: invalid_grant", "line 7: invalid",
		"in short: 1 conflict, 1 connected already, 2 imported, 3 invalid, 1 refused", "5 lines cannot be imported", "code 4")
	c.is(c.browser("mira"), "city_lab", "connected ada@people.example  disconnect")
	for who := range map[string]bool{"mira": true, "otto": true, "lou": true} {
		c.browser(who).do(http.MethodGet, "/data/city_lab/measurements", "").want(t, http.StatusOK, "")
	}
	spent = c.city.Counts()
	contains(t, sh.imports("--provider study --source city_lab --json"), `{"line":1,"result":"imported before"}`, `{"line":6,"result":"refused before"}`, "code 4")
	if now := c.city.Counts(); fmt.Sprint(now) != fmt.Sprint(spent) {
		t.Errorf("the second run has called the vendor: %+v", now)
	}

	// Who leaves is not brought back by the same file.
	c.browser("mira").do(http.MethodDelete, "/connect/city_lab", "").want(t, http.StatusNoContent, "")
	sh.write("file.jsonl", importLine("mira", accountID(0), mira))
	contains(t, sh.imports("--source study/city_lab"), "line 1: imported before", "code 0")
	c.is(c.browser("mira"), "city_lab", "none   connect")

	for args, wants := range map[string][]string{
		"--source city_lab":                       {"name a provider and its source", "code 1"},
		"--source study/nowhere":                  {`provider study has no source \"nowhere\"`, "code 1"},
		"--source other/city_lab":                 {"there is no provider", "code 1"},
		"--source study/city_lab file.jsonl":      {"takes flags only", "code 1"},
		"--source study/city_lab --concurrency 0": {"--concurrency is 1 to 64", "code 1"},
	} {
		contains(t, sh.imports(args), wants...)
	}
	contains(t, sh.run("caddy delegate grants decisions"), "import")
}

// TestSourcesImportStops protects a vendor, and the lines of a file, from a run that
// gets nowhere: it stops, leaves nothing half done, and goes on when it is run again.
func TestSourcesImportStops(t *testing.T) {
	c := startSources(t, "", "")
	lines := ""
	for n := range 12 {
		lines += importLine(fmt.Sprint("user-", n), accountID(n), c.teamToken(n))
	}
	sh := importShell(t, c, lines)
	for mode, wants := range map[string][]string{
		"invalid_client": {"line 1: not tried: credentials_rejected", "the vendor does not accept the client", "code 5"},
		"500":            {"line 5: uncertain: issuer_unavailable", "stopped behind line 5: neither vendor nor database", "code 5"},
	} {
		if err := c.city.SetMode(mode); err != nil {
			t.Fatal(err)
		}
		contains(t, sh.imports("--source study/city_lab --concurrency 1"), wants...)
	}
	if err := c.city.SetMode("invalid_grant"); err != nil {
		t.Fatal(err)
	}
	contains(t, sh.imports("--source study/city_lab --concurrency 1"), "the vendor has refused the first 10 tokens", "code 5")
	if err := c.city.SetMode(); err != nil {
		t.Fatal(err)
	}
	contains(t, sh.imports("--source study/city_lab --retry-refused"), "in short: 12 imported", "code 0")
}

// TestSourcesImportKilled protects the person whose token was spent when the import was
// killed: the next run tries once more, and their consent is there where the vendor has
// a grace; where it has none, the line says what has happened.
func TestSourcesImportKilled(t *testing.T) {
	for _, grace := range []int{0, 60} {
		t.Run(fmt.Sprint("grace ", grace), func(t *testing.T) {
			c := startSources(t, "", "")
			c.city.Set(func(s *sources.Settings) { s.Grace = grace })
			sh := importShell(t, c, importLine("mira", accountID(0), c.teamToken(0)))
			if err := c.city.SetMode("spent_hold"); err != nil {
				t.Fatal(err)
			}
			tokens := c.city.Counts()
			cmd := exec.CommandContext(t.Context(), filepath.Join(sh.dir, "caddy"), "delegate", "grants", "import", "--source", "study/city_lab")
			cmd.Dir, cmd.Env = sh.dir, append(os.Environ(), "XDG_DATA_HOME="+sh.dir, "XDG_CONFIG_HOME="+sh.dir)
			file, err := os.Open(filepath.Join(sh.dir, "file.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = file
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the token is spent", func() bool { return fmt.Sprint(c.city.Counts()) != fmt.Sprint(tokens) })
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if err := c.city.SetMode(); err != nil {
				t.Fatal(err)
			}
			// The lease of who was killed ends by the database's clock: 25 s later.
			db, err := sql.Open("sqlite", "file:"+filepath.Join(c.Dir, "grants", "grants.db")+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), "UPDATE grants SET lease_until = 1"); err != nil {
				t.Fatal(err)
			}
			if grace == 0 {
				contains(t, sh.imports("--source study/city_lab"), "line 1: refused: ", "an earlier run had sent it", "code 4")
				contains(t, sh.imports("--source study/city_lab"), "line 1: refused before", "code 4")
				return
			}
			contains(t, sh.imports("--source study/city_lab"), "line 1: imported\n", "code 0")
			c.browser("mira").do(http.MethodGet, "/data/city_lab/measurements", "").want(t, http.StatusOK, "")
		})
	}
}
