// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
)

func suspend(t *testing.T, s *Store, who string) {
	t.Helper()
	g, err := s.Find(t.Context(), owner(who))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
		t.Fatalf("%t %v", done, err)
	}
}

func undecidedProbe(context.Context, *Grant, bool) ProbeResult { return ProbeUnknown }

// keys tells the state of every grant by its key.
func keys(t *testing.T, s *Store) map[string]State {
	t.Helper()
	states := make(map[string]State)
	for _, g := range all(t, s) {
		if err := s.read(t.Context(), "", func(ctx context.Context, db querier) error {
			full, err := s.byID(ctx, db, g.ID)
			if err == nil {
				states[full.Secret.Reveal()] = full.State
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return states
}

// TestSuspendedKeyIsKept protects a key that was suspended by mistake, from an
// older tab, from a letter that another has read, and from a key of another
// account that is worth nothing: it is the one that will be tried again.
func TestSuspendedKeyIsKept(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		older := stagedFlow(t, s, newFlow("alice"), "1", "older")
		connected(t, s, "alice", "1", "good")
		suspend(t, s, "alice")
		for what, c := range map[string]struct {
			j    *Flow
			try  func(context.Context, *Grant, bool) ProbeResult
			want error
		}{
			"an older tab":               {older, refuseProbe, ErrProbeRefused},
			"a letter that another read": {stagedFlow(t, s, &Flow{Owner: owner("alice"), Kind: FlowConnect, AnyBrowser: true}, "666", "mallory's"), nil, ErrOtherAccount},
			"another account, refused":   {stagedFlow(t, s, newFlow("alice"), "2", "bad"), refuseProbe, ErrProbeRefused},
		} {
			a := c.j.returned()
			a.Probe = c.try
			_, _, err := s.Complete(t.Context(), a)
			want(t, what, err, c.want)
			holds(t, s, "alice", "1", "good")
		}
		// The same account, later: it is what will be tried, and nothing is lost.
		a := stagedFlow(t, s, newFlow("alice"), "1", "later").returned()
		a.Probe = refuseProbe
		_, _, err := s.Complete(t.Context(), a)
		want(t, "later", err, ErrProbeRefused)
		if got := keys(t, s); got["good"] != Retired || got["later"] != Suspended || got["bad"] != Retired || got["mallory's"] != "" || got["older"] != Retired {
			t.Errorf("%v", got)
		}
		// And what works takes its place.
		connected(t, s, "alice", "1", "works")
		holds(t, s, "alice", "1", "works")
	})
}

// TestUnknownKeepsAside protects a good key from one that could not be tried:
// the new one counts, and the old one is not gone.
func TestUnknownKeepsAside(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "good")
		a := stagedFlow(t, s, newFlow("alice"), "1", "untried").returned()
		a.Probe = undecidedProbe
		_, _, err := s.Complete(t.Context(), a)
		want(t, "untried", err, nil)
		holds(t, s, "alice", "1", "untried")
		if got := keys(t, s); got["good"] != Retired {
			t.Errorf("%v", got)
		}
	})
}

// TestConflictKeepsGoodKeys protects the key of who may turn out to be the
// account's owner from a later one that is worth nothing.
func TestConflictKeepsGoodKeys(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "bob", "1", "bob's")
		older := stagedFlow(t, s, newFlow("alice"), "1", "older")
		for _, account := range []string{"", "2"} { // alice has nothing else, and has
			if account != "" {
				connected(t, s, "alice", account, "alice's")
			}
			_, _, err := s.Complete(t.Context(), stagedFlow(t, s, newFlow("alice"), "1", "good").returned())
			want(t, "good", err, ErrConflict)
			a := stagedFlow(t, s, newFlow("alice"), "1", "bad").returned()
			a.Probe = refuseProbe
			_, _, err = s.Complete(t.Context(), a)
			want(t, "bad", err, ErrProbeRefused)
			if got := keys(t, s); got["good"] != Conflict || got["bad"] == "" {
				t.Errorf("%v", got)
			}
		}
		_, _, err := s.Complete(t.Context(), older.returned())
		if got := keys(t, s); got["good"] != Conflict {
			t.Errorf("after an older tab (%v): %v", err, got)
		}
	})
}

// TestUpdateOfNothingEnds protects the platform from an update whose grant is
// gone, or is of another account: it is over the first time, and nothing is
// tried.
func TestUpdateOfNothingEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := connected(t, s, "alice", "1", "key-1")
		update := &Flow{Owner: owner("alice"), Kind: FlowUpdate}
		a := stagedFlow(t, s, update, "2", "key-2").returned()
		gone := stagedFlow(t, s, &Flow{Owner: owner("alice"), Kind: FlowUpdate}, "1", "key-3").returned()
		try := func(context.Context, *Grant, bool) ProbeResult { t.Error("tried"); return ProbeAccepted }
		a.Probe, gone.Probe = try, try
		_, first, err := s.Complete(t.Context(), a)
		if want(t, "another account", err, ErrNotFound); !first {
			t.Error("it has not ended")
		}
		alter(t, s, "UPDATE grants SET state = 'retired' WHERE id = '"+g.ID+"'")
		_, first, err = s.Complete(t.Context(), gone)
		if want(t, "nothing to update", err, ErrNotFound); !first {
			t.Error("it has not ended")
		}
		err = s.Pending(t.Context(), owner("alice"))
		want(t, "nobody waits", err, ErrNotFound)
	})
}
