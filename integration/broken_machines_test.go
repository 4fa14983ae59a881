// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fleet"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// TestBroken_RedisPassword: Redis' password has been changed, and this machine's
// settings have the old one. It works alone, and says why.
func TestBroken_RedisPassword(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	r.cli(append([]string{"ACL", "SETUSER", "delegate", "on", ">rotated"}, strings.Fields(fleet.ACL(false))...)...)
	_, caddyfile := sharing(t, s, r)
	caddyfile, file := logged(t, strings.Replace(caddyfile, "redis://127", "redis://delegate:planted@127", 1))
	load(t, s, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	says := "it does not accept the user or the password"
	contains(t, checks(t, s, caddyfile, false), "✗ redis              "+says)
	a := newAdmin(t, s)
	contains(t, a.send(http.MethodGet, "/delegate/status", "").body, `"up":false`, `"cause":"`+says)
	contains(t, checks(t, s, strings.Replace(caddyfile, ":planted@", ":rotated@", 1), true), "✓ redis              answers, and allows all that is needed; machines that listen there: 0 with this keyset")
	down, text := lines(t, file, "the shared cache cannot be used; this machine works for itself until it is back")
	if len(down) != 1 || down[0]["cause"] != says {
		t.Errorf("%v", down)
	}
	lacks(t, text, "planted")
}

// TestBroken_AnotherKeyset: each machine has made a keyset of its own. Both say
// that Redis is up, and neither uses what the other has minted, nor hears of its
// purges: names and seals are by the keyset. check tells who listens there.
func TestBroken_AnotherKeyset(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	_, caddyfile := sharing(t, s, r)
	load(t, s, caddyfile)
	signIn(t, s, "alice").get(participantPath).want(t, http.StatusOK, "")
	a := newAdmin(t, s)
	eventually(t, "this machine listens", func() bool { up, _ := a.shared(); return up })
	contains(t, checks(t, s, caddyfile, true), "✓ redis              answers, and allows all that is needed; machines that listen there: 1 with this keyset\n")

	keys, err := keyset.Generate()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(s.Dir, "own.json")
	if err := keys.Create(own); err != nil {
		t.Fatal(err)
	}
	contains(t, checks(t, s, strings.Replace(caddyfile, filepath.Join(s.Dir, "keyset.json"), own, 1), true),
		"✓ redis              answers, and allows all that is needed; machines that listen there: 0 with this keyset, "+
			"1 with another one, with which they share nothing: if these belong together, give all of them the same keyset file")
}
