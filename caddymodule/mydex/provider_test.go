// SPDX-License-Identifier: Apache-2.0

package mydex

import "testing"

// TestReadAgain protects somebody whom an operator or another machine has
// taken a grant from: within 30 seconds it is not used any more.
func TestReadAgain(t *testing.T) {
	r := newRig(t)
	g := r.connect("alice", "1")
	if uid := r.uid("alice"); uid != "1" {
		t.Fatal(uid)
	}
	if err := r.store.Release(t.Context(), g.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if uid := r.uid("alice"); uid != "1" {
		t.Errorf("%q: it is read each time", uid)
	}
	r.later("alice", freshFor)
	if uid := r.uid("alice"); uid != "" {
		t.Errorf("it is used as %s", uid)
	}
	r.connect("bob", "1")
	if uid := r.uid("bob"); uid != "1" {
		t.Error(uid)
	}
}

// TestForgottenInFlight protects somebody who leaves while their grant is being
// read for another request of theirs: who asks after that does not get it.
func TestForgottenInFlight(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	who := someone("alice")
	since := r.grantCache.dropCount(who)
	h, err := r.loadGrant(t.Context(), who, since) // a flight that began before
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Disconnect(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	r.grantCache.putUnlessDropped(who, h, since)
	if uid := r.uid("alice"); uid != "" {
		t.Errorf("used as %s", uid)
	}
}
