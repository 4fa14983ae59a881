// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// withLogs has a site, and Caddy, log to a file.
func withLogs(t *testing.T, caddyfile string) (changed, file string) {
	t.Helper()
	caddyfile, file = logged(t, caddyfile)
	return strings.Replace(caddyfile, "http://127.0.0.1:[[.Port]] {", "http://127.0.0.1:[[.Port]] {\n\tlog {\n\t\toutput file "+file+"\n\t}", 1), file
}

// sound takes out of the Caddyfile the scope that Mydex has not given.
func sound(caddyfile string) string {
	return strings.NewReplacer(" get:/forbidden\n", "\n", "allow GET /forbidden", "").Replace(caddyfile)
}

// TestBroken_O9_CallbackCaught: an authenticator answers the platform's callback,
// because its matcher has the path that handle_path has stripped already. check
// posts to the callback and says what answers. Neither the secret segment nor
// the platform's credential is in any log: whatever answers, and also where that
// fails.
func TestBroken_O9_CallbackCaught(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"the matcher names the whole path": func(c string) string {
			c = strings.Replace(c, "@none status 401\n\t\t\thandle_response @none {\n\t\t\t}", "", 1)
			return strings.Replace(c, "not path /callback/*", "not path /connect/mydex/callback/*", 1)
		},
		"an authenticator that has gone": func(c string) string {
			return strings.Replace(strings.Replace(c, "not path /callback/*", "", 1), "forward_auth @member [[.AppAddr]]", "forward_auth @member 127.0.0.1:1", 1)
		},
		"an error of the site": func(c string) string {
			return strings.Replace(c, "forward_auth @member", "error /callback/* 500\n\t\tforward_auth @member", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := startMydex(t, "", "")
			caddyfile, file := withLogs(t, change(sound(c.caddyfile("", ""))))
			load(t, c.Stack, caddyfile)
			out := checks(t, c.Stack, caddyfile, false)
			contains(t, out, "✗ callback           mydex: "+c.URL()+"/connect/mydex/callback/… is not answered by delegate_connect, but with status ")
			contains(t, out, "forward_auth has to let it pass; write `not path /callback/*` in the matcher")
			lacks(t, out, mydexSegment)
			c.browser("").do(http.MethodPost, "/connect/mydex/callback/"+mydexSegment, `{"uid":"planted"}`, "Content-Type", "application/json", "Authentication", "planted-hash")
			c.browser("alice").do(http.MethodGet, "/connect/mydex/status", "")
			_, text := lines(t, file, "handled request")
			contains(t, text, "/connect/mydex/status") // or this would test nothing
			lacks(t, text, mydexSegment, "planted")
		})
	}
}

// TestO9_CallbackWorks protects the block of the documentation: as it stands, the
// callback is delegate_connect's. Where no Caddy runs yet it is not looked at.
func TestO9_CallbackWorks(t *testing.T) {
	c := startMydex(t, "", "")
	caddyfile := sound(c.caddyfile("", ""))
	contains(t, checks(t, c.Stack, caddyfile, true), "✓ callback           mydex: "+c.URL()+"/connect/mydex/callback/… is answered by delegate_connect",
		"✓ database           opens, with the keyset; nobody has a grant yet", "✓ platform           ", "✓ service token      ")
	contains(t, checks(t, c.Stack, strings.Replace(caddyfile, mydexSegment, "9876543210abcdef9876", 1), false),
		"✗ callback           mydex: "+c.URL()+"/connect/mydex/callback/… is answered by a delegate_connect that has another callback")
	contains(t, checks(t, c.Stack, strings.Replace(caddyfile, "callback "+mydexSegment, "", 1), false), "✗ callback           mydex: it has none")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	contains(t, checks(t, c.Stack, caddyfile, true), "– callback           not looked at: mydex: nothing listens at")
}

// TestBroken_O10_Renamed: a provider has another name, and everybody's grants
// stay behind. A warning at load counts them, check and the list show them, and
// one command takes them along, for the members to be connected as before.
func TestBroken_O10_Renamed(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	renamed, file := logged(t, strings.NewReplacer("provider mydex {", "provider mydex_two mydex {", "delegate_proxy mydex ", "delegate_proxy mydex_two ", "delegate_connect mydex ", "delegate_connect mydex_two ").Replace(sound(c.caddyfile("", ""))))
	load(t, c.Stack, renamed)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	contains(t, checks(t, c.Stack, renamed, false, "--provider", "mydex_two"), "✗ database           there are grants of providers that are not configured: 1 of provider mydex; if a provider was renamed, `caddy delegate grants rename <old> <new>`")

	text, err := c.Render(renamed)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(c.Dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	grants := func(works bool, args ...string) string {
		t.Helper()
		out, err := command(t, append([]string{"grants", "--config", config, "--adapter", "caddyfile"}, args...)...)
		if (err == nil) != works {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if err != nil {
			out += err.Error()
		}
		return out
	}
	contains(t, grants(true, "list"), "  mydex !", "! 1 of provider mydex, which is not configured: nobody can use them. If it was renamed: caddy delegate grants rename mydex <new>")
	contains(t, grants(true, "list", "--json"), `"unconfigured":true`)
	contains(t, grants(false, "rename", "mydex", "mydex_three"), "provider mydex_three is not configured")
	contains(t, grants(false, "rename", "mydex_two", "mydex"), "provider mydex_two is configured, and its grants are in use")
	contains(t, grants(false, "rename", "mydex"), "name two providers")
	contains(t, grants(true, "rename", "mydex", "mydex_two"), "Renamed 2 grants and journeys of mydex to mydex_two")
	lacks(t, grants(true, "list"), "!", "not configured")
	contains(t, grants(true, "decisions"), "rename")
	contains(t, grants(true, "export", "--subject", "nobody"), "Nothing is kept of that user.")
	eventually(t, "alice is connected under the new name", func() bool {
		return alice.do(http.MethodGet, dataset, "").StatusCode == http.StatusOK
	})
	contains(t, checks(t, c.Stack, renamed, true), "✓ database           opens, with the keyset; grants: 1 of mydex_two")

	found := 0
	_, all := lines(t, file, "")
	for line := range strings.Lines(all) {
		if strings.Contains(line, "there are grants of providers that are not configured: 1 of provider mydex;") && strings.Contains(line, `"level":"warn"`) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d warnings in\n%s", found, fmt.Sprint(all))
	}
}
