// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// completeReturn has the browser of a consent flow come back.
func (r *rig) completeReturn(j *grants.Flow) (first bool, err error) {
	return r.consents.HandleReturn(r.t.Context(), grants.ReturnRequest{Person: j.Person, State: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal()})
}

// A key that the platform does not accept takes no good one's place, of the
// same account or of another; and whatever it accepts counts at once, though
// something else is in memory.
func TestReturnProbesFirst(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	if uid := r.uid("alice"); uid != "1" {
		t.Fatal(uid)
	}
	for _, uid := range []string{"1", "2"} {
		r.status.Store(http.StatusUnauthorized)
		first, err := r.completeReturn(r.staged("alice", uid, "bad"))
		if !first || delegation.AsRefusal(err).Code != delegation.ConsentRequired {
			t.Errorf("%s: %t %v", uid, first, err)
		}
		h, err := r.decodedGrantOf(t.Context(), someone("alice"))
		if err != nil || h.member.UID != "1" || h.member.Key.Reveal() != "key-1" {
			t.Errorf("%s: %+v %v", uid, h, err)
		}
	}
	for _, status := range []int64{200, 403, 404, 500, 0} { // but for 401, nothing is said of the key
		r.status.Store(status)
		key := fmt.Sprint("key-", status)
		if first, err := r.completeReturn(r.staged("alice", "3", key)); !first || err != nil {
			t.Errorf("%d: %t %v", status, first, err)
		}
		if h, err := r.decodedGrantOf(t.Context(), someone("alice")); err != nil || h.member.Key.Reveal() != key {
			t.Errorf("%d: %+v %v", status, h, err)
		}
	}
}

// A platform that for a moment refuses everybody does not have everybody who
// comes back in it consent anew.
func TestReturnDuringAnOutage(t *testing.T) {
	r := newRig(t)
	r.status.Store(http.StatusUnauthorized)
	aside := 0
	for i := range 6 {
		name := fmt.Sprint("user-", i)
		if _, err := r.completeReturn(r.staged(name, fmt.Sprint(i+1), "key")); err != nil {
			aside++
		}
	}
	if aside > 3 {
		t.Errorf("%d of 6 were put aside", aside)
	}
}

// In a long outage a good key is not given up for one that was refused, however
// many have come back; and who comes back often, or asks in many tabs, does not
// keep others from being put aside who have withdrawn.
func TestReturnInALongOutage(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	r.connect("bob", "5")
	bob, err := r.decodedGrantOf(t.Context(), someone("bob"))
	if err != nil {
		t.Fatal(err)
	}
	r.status.Store(http.StatusUnauthorized)
	for range 6 {
		_, err := r.completeReturn(r.staged("alice", "1", "bad"))
		if h, _ := r.decodedGrantOf(t.Context(), someone("alice")); delegation.AsRefusal(err).Code != delegation.ConsentRequired || h.member.Key.Reveal() != "key-1" {
			t.Fatalf("%v, %+v", err, h)
		}
	}
	if r.diagnose("bob", bob) == nil {
		t.Error("bob is not told that he has to consent")
	}
}

// examine has the platform have refused a call of somebody's.
func (r *rig) diagnose(name string, h *decodedGrant) *delegation.Refusal {
	return r.DiagnoseUnauthorized(r.t.Context(), &delegation.Delegation{Person: someone(name)}, &Credential{Token: freshToken, Member: h.member})
}

// What the log tells has happened, and happened once: of calls at the same
// time, and not of a grant that was replaced meanwhile.
func TestSuspendedIsNotedOnce(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	h, err := r.decodedGrantOf(t.Context(), someone("alice"))
	if err != nil {
		t.Fatal(err)
	}
	r.status.Store(http.StatusUnauthorized)
	r.during = func() { // alice consents anew while her old key is tried
		r.during = nil
		r.status.Store(http.StatusOK)
		if _, err := r.completeReturn(r.staged("alice", "1", "key-2")); err != nil {
			t.Error(err)
		}
		r.status.Store(http.StatusUnauthorized)
	}
	if refusal := r.diagnose("alice", h); refusal != nil || r.events.Load() != 0 {
		t.Errorf("%v, %d events", refusal, r.events.Load())
	}

	if h, err = r.decodedGrantOf(t.Context(), someone("alice")); err != nil {
		t.Fatal(err)
	}
	var in, all sync.WaitGroup
	in.Add(4)
	r.during = func() { in.Done(); in.Wait() } // all four at once
	for range 4 {
		all.Go(func() {
			if r.diagnose("alice", h) == nil {
				t.Error("it is not refused")
			}
		})
	}
	all.Wait()
	if n := r.events.Load(); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A page that asks many times at once how it stands has a suspended grant tried
// once, and each question the same answer.
func TestManyAskAtOnce(t *testing.T) {
	r := newRig(t)
	if _, err := r.store.Suspend(t.Context(), r.connect("alice", "1"), "refused"); err != nil {
		t.Fatal(err)
	}
	r.resumable()
	// The platform answers once all have asked, or have an answer.
	var asked sync.WaitGroup
	r.during = asked.Wait
	asked.Add(20)
	how := make([]delegation.ConsentStatus, 20)
	var all sync.WaitGroup
	for i := range how {
		all.Go(func() {
			asked.Done()
			how[i], _ = r.consents.Status(t.Context(), someone("alice"))
		})
	}
	all.Wait()
	for _, h := range how {
		if h != delegation.ConsentConnected {
			t.Error(h)
		}
	}
	if n := r.probes.Load(); n != 1 {
		t.Errorf("%d probes", n)
	}
}

// Who cannot be asked about is asked about again: that the platform is away says
// nothing of a key.
func TestProbeGrant(t *testing.T) {
	r := newRig(t)
	r.connect("alice", "1")
	g, err := r.consents.Get(t.Context(), someone("alice"))
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int64]delegation.ProbeResult{
		200: delegation.ProbeAccepted, 204: delegation.ProbeAccepted, 401: delegation.ProbeRefused,
		0: delegation.ProbeUnknown, 302: delegation.ProbeUnknown, 403: delegation.ProbeUnknown, 404: delegation.ProbeUnknown,
		429: delegation.ProbeUnknown, 500: delegation.ProbeUnknown, 503: delegation.ProbeUnknown,
	} {
		r.status.Store(status)
		if got := r.ProbeGrant(t.Context(), g); got != want {
			t.Errorf("%d: %d, not %d", status, got, want)
		}
	}
	blind := *g
	blind.Decoded = &decodedGrant{member: g.Decoded.(*decodedGrant).member}
	r.status.Store(401)
	if before := r.probes.Load(); r.ProbeGrant(t.Context(), &blind) != delegation.ProbeUnknown || r.probes.Load() != before {
		t.Error("a member who has opened no dataset is judged")
	}
}
