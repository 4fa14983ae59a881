// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// listedGrant is what `grants list --json` says of a grant.
type listedGrant struct {
	ID, Provider, State, Subject, Account string
	LastUsed                              time.Time `json:"last_used"`
}

// operates runs `caddy delegate grants` with the rig's configuration, of which a
// part may be replaced, and has Caddy drop what it has in memory.
func (c *consoleRig) operates(t *testing.T, config string, words ...string) string {
	t.Helper()
	out, err := command(t, append([]string{"grants", "--config", configFile(t, c.Stack, config)}, words...)...)
	if err != nil || strings.Contains(out, healthSecret) || strings.Contains(out, `"access"`) {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	if words[0] != "list" {
		for _, subject := range []string{"alice", "bob"} {
			if a := newAdmin(t, c.Stack).send(http.MethodPost, "/delegate/purge", `{"subject":"`+subject+`"}`); a.StatusCode != http.StatusOK {
				t.Fatalf("purge: %d %s", a.StatusCode, a.body)
			}
		}
	}
	return out
}

// lists returns the grants of one user.
func (c *consoleRig) lists(t *testing.T, subject string) (all []listedGrant) {
	t.Helper()
	var listed []listedGrant
	if err := json.Unmarshal([]byte(c.operates(t, c.caddyfile(""), "list", "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	for _, g := range listed {
		if g.Subject == subject {
			all = append(all, g)
		}
	}
	return all
}

// TestConnectOperatorMoves protects a user whose name in the app has changed: what
// they have connected works under the new one. The platform knows the account by
// the former one's identifier, which is not given to anybody else: an answer that
// names it is refused with its cause, and one for the new name takes its place.
func TestConnectOperatorMoves(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice, bob, people := c.browser("alice"), c.browser("bob"), accounts()
	before := c.opensWidget(alice, "")
	c.connects(alice, people[0])
	c.reads(alice, people[0])
	g := c.lists(t, "alice")[0]
	for deadline := time.Now().Add(20 * time.Second); g.LastUsed.IsZero() && time.Now().Before(deadline); g = c.lists(t, "alice")[0] {
		time.Sleep(50 * time.Millisecond) // it is noted beside the request
	}
	if g.Provider != "health" || g.State != "active" || g.Account != people[0] || g.LastUsed.IsZero() {
		t.Errorf("%+v", g)
	}

	c.operates(t, c.caddyfile(""), "move", g.ID, "--subject", "bob")
	c.reads(alice, "")
	c.isStatus(bob, "connected")
	c.reads(bob, people[0])
	o := c.opensWidget(bob, "")
	if o.ClientUserID == before.ClientUserID || o.PublicToken != "" {
		t.Errorf("bob's page gets %+v", o)
	}
	theirs := o
	theirs.ClientUserID = before.ClientUserID
	isCode(t, c.handsOver(bob, c.finishes(theirs, people[0])), http.StatusConflict, "account_conflict")
	c.reads(bob, people[0])
	c.connects(bob, people[0])
	c.reads(bob, people[0])
	if all := c.lists(t, "bob"); len(all) != 2 || all[0].ID != g.ID || all[0].State != "retired" || all[1].State != "active" {
		t.Errorf("bob has %+v", all)
	}
	if again := c.opensWidget(alice, ""); again.ClientUserID != before.ClientUserID || again.PublicToken != "" {
		t.Errorf("alice's page gets %+v", again)
	}
}

// TestConnectOperatorEnds protects the one whose account somebody else has
// connected: a release makes it free for them, and after `grants delete` the
// platform does not learn that somebody who comes back is the same.
func TestConnectOperatorEnds(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice, bob, people := c.browser("alice"), c.browser("bob"), accounts()
	before := c.opensWidget(alice, "")
	c.connects(alice, people[0])
	isCode(t, c.handsOver(bob, c.finishes(c.opensWidget(bob, ""), people[0])), http.StatusConflict, "account_conflict")
	held := c.lists(t, "bob")
	if len(held) != 1 || held[0].State != "conflict" {
		t.Fatalf("bob has %+v", held)
	}
	first := c.lists(t, "alice")[0]
	c.operates(t, c.caddyfile(""), "release", first.ID)
	c.reads(alice, "")
	c.operates(t, c.caddyfile(""), "move", held[0].ID, "--subject", "bob")
	c.reads(bob, people[0])
	c.operates(t, c.caddyfile(""), "delete", first.ID, "--yes")
	if all := c.lists(t, "alice"); len(all) != 0 {
		t.Errorf("alice has %+v", all)
	}
	if again := c.opensWidget(alice, ""); again.ClientUserID == before.ClientUserID {
		t.Error("the platform knows alice by the same identifier")
	}
	c.reads(bob, people[0])
}

// TestConnectOperatorRenames protects everybody from a provider's new name: their
// grants and the platform's identifiers of them are there under it.
func TestConnectOperatorRenames(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice, people := c.browser("alice"), accounts()
	before := c.opensWidget(alice, "")
	c.connects(alice, people[0])
	renamed := c.caddyfile("")
	for _, directive := range []string{"provider ", "delegate_proxy ", "delegate_connect "} {
		renamed = strings.Replace(renamed, directive+"health", directive+"wellness", 1)
	}
	if err := c.Restart(renamed); err != nil {
		t.Fatal(err)
	}
	c.reads(alice, "")
	if out := c.operates(t, renamed, "rename", "health", "wellness"); !strings.Contains(out, "Renamed") {
		t.Error(out)
	}
	c.reads(alice, people[0])
	if o := c.opensWidget(alice, ""); o.ClientUserID != before.ClientUserID || o.PublicToken == "" {
		t.Errorf("the page gets %+v", o)
	}
}
