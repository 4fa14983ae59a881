// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

func troubleshooting(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../caddymodule/docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestO8_PastedACL protects who pastes the line of the documentation: a Redis
// whose user was made by it is in use.
func TestO8_PastedACL(t *testing.T) {
	line := regexp.MustCompile("(?m)^ACL SETUSER .*$").FindString(troubleshooting(t))
	if !strings.HasSuffix(line, fleet.ACL(false)) {
		t.Fatalf("%q is not %q", line, fleet.ACL(false))
	}
	s, r := newStack(t), newRedis(t)
	r.cli(strings.Fields(strings.NewReplacer("<user>", "pasted", "<password>", "planted").Replace(line))...)
	_, caddyfile := sharing(t, s, r)
	caddyfile = strings.Replace(caddyfile, "redis://127", "redis://pasted:planted@127", 1)
	load(t, s, caddyfile)
	a := newAdmin(t, s)
	eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	contains(t, checks(t, s, caddyfile, true), "✓ redis ")
	if up, _ := a.shared(); !up {
		t.Error("it was given up with the first token")
	}
	contains(t, troubleshooting(t), strings.TrimPrefix(fleet.ACL(true), fleet.ACL(false)+" "))
}

// TestO14_StatusIsExplained protects who reads the status: each of its fields is
// in the page.
func TestO14_StatusIsExplained(t *testing.T) {
	text := troubleshooting(t)
	for prefix, of := range map[string]any{"": tokens.Status{}, "issuer.": circuit.Status{}, "shared.": tokens.SharedStatus{}} {
		kind := reflect.TypeOf(of)
		for field := range kind.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || name == "issuer" || name == "shared" || prefix == "shared." && name == "kind" {
				continue
			}
			contains(t, text, "`"+prefix+name+"`")
		}
	}
	for _, of := range []any{status.Status{}, status.Provider{}, status.Engine{}, status.Refusals{}, status.Grants{}, status.GrantCount{}, status.File{}, status.Certificate{}, status.Degradation{}} {
		for field := range reflect.TypeOf(of).Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "providers" && name != "sessions" && name != "grants" {
				contains(t, text, "`"+name+"`")
			}
		}
	}
	contains(t, text, "`kind`", "`ready`", "`reason`", "`refused`", "`everybody_refused`", "`purge_scope`", "`sessions.refused`", "`sessions.everybody_refused`")
}

// TestO14_StepsAreExplained protects who reads what check prints: the page has a
// row for each step, and the block of the callback is as it should be.
func TestO14_StepsAreExplained(t *testing.T) {
	text := troubleshooting(t)
	s := newStack(t)
	out := checks(t, s, proxied("", ""), true, "--subject", "alice", "--route", "GET /api/v1/delegated/participant", "--read")
	out += checks(t, s, proxied("", ""), true)
	for _, match := range regexp.MustCompile(`(?m)^  [✓✗–] (.{18}) `).FindAllStringSubmatch(out, -1) {
		if step := strings.TrimSpace(match[1]); step != "user" {
			contains(t, text, "`"+step+"`")
		}
	}
	for _, code := range []string{"consent_required", "session_unavailable", "purge_incomplete", "scope_rejected", "credentials_rejected", "not_released"} {
		contains(t, text, "| `"+code+"`")
	}
	contains(t, text, "`shared_up` is 0", "?connect=pending", "curl -i -b ")
	for _, block := range regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(text, -1) {
		c := startMydex(t, "", "")
		site := strings.NewReplacer("app:3000", "[[.AppAddr]]", "https://app.example.org", "http://127.0.0.1:[[.Port]]", "{file./run/secrets/mydex_callback}", mydexSegment).Replace(block[1])
		whole := sound(c.caddyfile("", ""))
		before, rest, _ := strings.Cut(whole, "	handle_path /connect/mydex/* {")
		_, after, _ := strings.Cut(rest, "\n	handle {")
		caddyfile := before + site + "\n	handle {" + after
		load(t, c.Stack, caddyfile)
		contains(t, checks(t, c.Stack, caddyfile, true), "✓ callback ")
	}
	if !strings.Contains(readme(t), "caddymodule/docs/troubleshooting.md") {
		t.Error("README has no link")
	}
}
