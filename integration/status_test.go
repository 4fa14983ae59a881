// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// statusOf is what `caddy delegate status` says of a stack; well is whether nothing
// is wrong, by --strict. That makes no difference without --strict.
func statusOf(t *testing.T, s *stack.Stack, well bool) string {
	t.Helper()
	args := []string{"status", "--address", "unix/" + s.Admin}
	out, err := command(t, args...)
	if err != nil {
		t.Errorf("a health check fails: %v\n%s", err, out)
	}
	if _, err := command(t, append(args, "--strict")...); (err == nil) != well {
		t.Errorf("--strict: %v\n%s", err, out)
	}
	if strings.HasSuffix(out, "all is well\n") != well || strings.Contains(out, "✗") == well {
		t.Errorf("%s", out)
	}
	return out
}

// TestStatusCommand protects the operator who is paged: one command tells what is
// down, since when, and what to do next; and nobody's name.
func TestStatusCommand(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	s := newStack(t)
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s.KeyFile = write(t, key, string(text))
	load(t, s, administered(encrypted(stack.Caddyfile)))
	secrets := newWiretap(t, s)
	u := signIn(t, s, "alice")
	u.base = fmt.Sprintf("https://localhost:%d", s.Port)
	u.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, DisableKeepAlives: true}
	u.get(participantPath).want(t, http.StatusOK, "")
	u.get("/mdh/api/v1/administration/x").want(t, http.StatusForbidden, "route_denied")
	out := statusOf(t, s, true)
	contains(t, out, "mydatahelps\n", "✓ issuer             closed; 2 tokens in memory", "✓ requests           1 refused in the last ten minutes: route_denied 1\n",
		"✓ provider mydatahelps private_keys "+key+", changed 0 hours ago", "certificates\n", "✓ localhost          ends in ")
	checkNobody(t, "the status", out, secrets)

	s.Platform.Set(func(set *simulator.Settings) { set.TokenError = "invalid_client" })
	newAdmin(t, s).purge("", `"mydatahelps"`)
	u.get(participantPath).want(t, http.StatusBadGateway, "credentials_rejected")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	out = statusOf(t, s, false)
	contains(t, out, "✗ issuer             credentials_rejected, since 20", "✗ provider mydatahelps private_keys there is no such file any more\n",
		"to do\n", "✗ mydatahelps, issuer: credentials_rejected, since 20", "    run `caddy delegate check`. MyDataHelps: ", "    put the file back, and have Caddy's user read it")
	checkNobody(t, "the status", out, secrets)

	out, err = command(t, "status", "--json", "--address", "unix/"+s.Admin)
	var answer status.Status
	if err != nil || json.Unmarshal([]byte(out), &answer) != nil || len(answer.Degraded) != 2 || answer.Providers["mydatahelps"].Issuer.Since.IsZero() {
		t.Errorf("%v: %s", err, out)
	}
	checkNobody(t, "status --json", out, secrets)
}

// TestStatusOfTheDatabase protects who waits for the database: the status finds that
// it is away before anybody has asked for a grant, says since when, and that it is
// back; and a container is not started anew for that.
func TestStatusOfTheDatabase(t *testing.T) {
	server, lines := postgresGrants(t)
	c := startMydex(t, lines, "")
	c.browser("alice").connect(c.mydex.Members()[0].UID)
	contains(t, statusOf(t, c.Stack, true), "grants\n  ✓ database           postgres\n  ✓ mydex              1 active\n")
	server.Kill()
	out := statusOf(t, c.Stack, false)
	contains(t, out, "✗ database ", ", since 20", "to do\n  ✗ grants, database: ", "the database step of `caddy delegate check`")
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the status says that the database is back", func() bool {
		out, err := command(t, "status", "--strict", "--address", "unix/"+c.Admin)
		return err == nil && strings.Contains(out, "all is well")
	})

	server.Kill()
	if err := c.Restart(c.caddyfile(lines, "")); err != nil {
		t.Fatal(err)
	}
	contains(t, statusOf(t, c.Stack, false), "✗ database ", ", since 20")
}

// TestStatusOfTheKeyset protects who has no keyset of their own from a backup without
// the one that was made: it is among the files, and missed when it is gone.
func TestStatusOfTheKeyset(t *testing.T) {
	c := startMydex(t, "", "")
	file := filepath.Join(c.Dir, "grants", "keyset.json")
	contains(t, statusOf(t, c.Stack, true), "✓ keyset             "+file+", changed 0 hours ago\n")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	contains(t, statusOf(t, c.Stack, false), "✗ keyset             there is no such file any more\n")
}

// TestStatusOfRedis protects operators of several machines: users notice nothing of
// it, and so the status has to say it.
func TestStatusOfRedis(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	_, caddyfile := sharing(t, s, r)
	load(t, s, caddyfile)
	a := newAdmin(t, s)
	eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
	contains(t, statusOf(t, s, true), "✓ redis              in use\n")
	r.kill()
	eventually(t, "Redis is away", func() bool { up, _ := a.shared(); return !up })
	contains(t, statusOf(t, s, false), "✗ redis ", ", since 20", "to do\n  ✗ mydatahelps, redis: ", "users notice nothing")
}

// TestStatusOfNobody protects a container's health check: without a Caddy that
// answers it fails.
func TestStatusOfNobody(t *testing.T) {
	_, err := command(t, "status", "--address", "unix/"+filepath.Join(t.TempDir(), "none.sock"))
	if err == nil || !strings.Contains(err.Error(), "no Caddy answers at its admin endpoint") {
		t.Errorf("%v", err)
	}
}
