// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
)

// cli runs an administrator's command at Redis.
func (r *redisServer) cli(args ...string) {
	r.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(r.port)}, args...)...).CombinedOutput()
	if err != nil || strings.HasPrefix(string(out), "ERR") {
		r.t.Fatalf("%v: %v %s", args, err, out)
	}
}

// TestBroken_O8_RedisACL: the ACL user lacks what mints need. The machine works
// alone until it has it, which the log says once, with the command in Redis's own
// words and a line to paste; status and metrics say the same.
func TestBroken_O8_RedisACL(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	allow := func(without string) {
		r.cli(append([]string{"ACL", "SETUSER", "limited", "reset", "on", ">planted"}, strings.Fields(strings.Replace(fleet.ACL(false), without, "", 1))...)...)
	}
	allow(" +evalsha")
	_, caddyfile := sharing(t, s, r)
	caddyfile, file := logged(t, strings.Replace(caddyfile, "redis://127", "redis://limited:planted@127", 1))
	load(t, s, caddyfile)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	out := checks(t, s, caddyfile, false)
	contains(t, out, "✗ redis              it does not allow all that is needed; in its own words: no permissions to run the 'evalsha' command", "ACL SETUSER <user> "+fleet.ACL(false))
	a := newAdmin(t, s)
	var status struct {
		Providers map[string]struct {
			Shared struct {
				Up       bool
				Cause    string
				Failures int
			}
		}
	}
	if err := json.Unmarshal([]byte(a.send(http.MethodGet, "/delegate/status", "").body), &status); err != nil {
		t.Fatal(err)
	}
	if shared := status.Providers["mydatahelps"].Shared; shared.Up || shared.Failures != 1 || !strings.Contains(shared.Cause, "'evalsha'") {
		t.Errorf("%+v", shared)
	}
	allow("")
	eventually(t, "Redis is in use", func() bool { up, _ := a.shared(); return up })
	contains(t, checks(t, s, caddyfile, true), "✓ redis              answers, and allows all that is needed")
	down, text := lines(t, file, "the shared cache cannot be used; this machine works for itself until it is back")
	if len(down) != 1 || !strings.Contains(text, "'evalsha'") {
		t.Errorf("%d times: %v", len(down), down)
	}
	lacks(t, text, "planted")
}
