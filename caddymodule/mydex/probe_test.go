// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"database/sql"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// resumable has what was suspended be long enough ago to be tried again.
func (r *rig) resumable() {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.file+"?_pragma=busy_timeout(10000)") // the store erases in the background
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(r.t.Context(), "UPDATE grants SET changed = changed - ?", (10 * time.Minute).Milliseconds()); err != nil {
		r.t.Fatal(err)
	}
}

// TestProbeSuspended protects a member whose key was refused by mistake, and one who
// has withdrawn from a platform that is down: only if it is accepted the grant
// counts again, and not if somebody has changed it meanwhile.
func TestProbeSuspended(t *testing.T) {
	r := newRig(t)
	byCall := func(name string) bool { return r.uid(name) != "" }
	// Who only asks how it stands has it tried as well: "connect again" would be
	// the wrong answer.
	byStatus := func(name string) bool {
		how, err := r.consents.Status(t.Context(), someone(name))
		if err != nil {
			t.Error(err)
		}
		return how == delegation.ConsentConnected
	}
	for _, c := range []struct {
		what   string
		status int64
		want   bool
		ask    func(string) bool
	}{
		{"accepted", 200, true, byCall},
		{"refused", 401, false, byCall},
		{"broken", 500, false, byCall},
		{"forbidden", 403, false, byCall},
		{"down", 0, false, byCall},
		{"acceptedAgain", 200, true, byStatus},
		{"refusedAgain", 401, false, byStatus},
	} {
		r.status.Store(c.status)
		if _, err := r.store.Suspend(t.Context(), r.connect(c.what, c.what), "refused"); err != nil {
			t.Fatal(err)
		}
		before := r.probes.Load()
		if c.ask(c.what) || r.probes.Load() != before {
			t.Errorf("%s: tried again at once", c.what)
		}
		r.resumable()
		if got := c.ask(c.what); got != c.want || r.probes.Load() == before {
			t.Errorf("%s: used %t after %d probes", c.what, got, r.probes.Load()-before)
		}
		before = r.probes.Load()
		if got := c.ask(c.what); got != c.want || r.probes.Load() != before {
			t.Errorf("%s: used %t, tried again at once", c.what, got)
		}
	}
	r.status.Store(200)
	if _, err := r.store.Suspend(t.Context(), r.connect("carol", "7"), "refused"); err != nil {
		t.Fatal(err)
	}
	r.resumable()
	r.during = func() { // an operator decides while the platform is asked
		r.during = nil
		if err := r.store.DeleteByOwner(t.Context(), r.owner(someone("carol"))); err != nil {
			t.Error(err)
		}
	}
	if uid := r.uid("carol"); uid != "" {
		t.Errorf("what was forgotten meanwhile is used as %s", uid)
	}
}

func mustDecode(t *testing.T, g *grants.Grant) *decodedGrant {
	t.Helper()
	h, err := new(Provider).DecodeGrant(&delegation.Grant{Account: g.Account, Secret: g.Secret})
	if err != nil {
		t.Fatal(err)
	}
	return h.(*decodedGrant)
}

// TestDiagnoseUnauthorized protects everybody else from one member's key, and a member from
// being put aside for another's, for a scope, or because the platform is down.
func TestDiagnoseUnauthorized(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	h := mustDecode(t, r.connect("bob", "2"))
	d := &delegation.Delegation{Provider: "mydex", Person: someone("bob"), Method: "GET", Path: "/timeline"}
	refused := &Credential{Token: freshToken, Member: h.member, Placement: IdentityPlacement{style: Blocks}}
	for _, status := range []int64{200, 403, 500, 0} {
		r.status.Store(status)
		if refusal := r.DiagnoseUnauthorized(t.Context(), d, refused); refusal != nil {
			t.Errorf("%d: %v", status, refusal)
		}
	}
	r.status.Store(401)
	other := *refused
	other.Member.UID = "9"
	if refusal := r.DiagnoseUnauthorized(t.Context(), d, &other); refusal != nil {
		t.Error("another grant than the one that was refused is put aside")
	}
	if refusal := r.DiagnoseUnauthorized(t.Context(), d, refused); refusal == nil || refusal.Code != delegation.ConsentRequired {
		t.Errorf("%v", refusal)
	}
	if r.uid("bob") != "" || r.uid("alice") != "1" {
		t.Error("bob is in, or alice is not")
	}
	aside := 1
	for _, name := range []string{"c", "d", "e", "f", "g"} {
		h := mustDecode(t, r.connect(name, name))
		d := &delegation.Delegation{Provider: "mydex", Person: someone(name), Method: "GET", Path: "/timeline"}
		if r.DiagnoseUnauthorized(t.Context(), d, &Credential{Token: freshToken, Member: h.member, Placement: IdentityPlacement{style: Blocks}}) != nil {
			aside++
		}
	}
	if aside != 3 {
		t.Errorf("%d were put aside at once", aside)
	}
}
