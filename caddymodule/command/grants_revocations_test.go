// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// TestGrantsRevocations protects people whose grant an operator deletes from staying known
// to the vendor without anybody knowing: it is to be told, and the operator sees that, but
// not with what.
func TestGrantsRevocations(t *testing.T) {
	f := newOffice(t, "")
	f.says(true, []string{"revocations"}, "Vendors were told of everything that has ended.")
	flow := &grants.Flow{Owner: grants.Owner{Provider: "study", Source: "oura", Person: delegation.Person{Realm: "app", Subject: "alice"}}, Kind: grants.FlowConnect}
	if err := f.store.Begin(t.Context(), flow); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Stage(t.Context(), "study", "oura", flow.CorrelationID.Reveal(), grants.PendingResult{
		Account: "u-1", Client: "https://vendor.example app", Secret: delegation.NewSecret("CANARY-secret"), Tokens: delegation.GrantTokens{Access: delegation.NewSecret("CANARY-access")},
	}); err != nil {
		t.Fatal(err)
	}
	g, _, err := f.store.Complete(t.Context(), grants.Return{Owner: flow.Owner, StateToken: flow.StateToken.Reveal(), BrowserToken: flow.BrowserToken.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	f.says(true, []string{"delete", g.ID, "--yes"}, "Deleted grant "+g.ID)
	f.says(true, []string{"revocations"}, g.ID, "study/oura", "alice", "u-1", "FAILED", "NEXT")
	f.says(true, []string{"revocations", "--json"}, `"id":"`+g.ID+`"`, `"source":"oura"`, `"subject":"alice"`, `"attempts":0`)
	if out := f.run(true, "revocations") + f.run(true, "revocations", "--json") + f.run(true, "list"); strings.Contains(out, "CANARY") {
		t.Error(out)
	}
}
