// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"time"
)

// TestSuspensionCount protects a person from being tried too often, and an operator
// from guessing: why a grant is suspended and how often its credential was refused
// are in the row until it is accepted.
func TestSuspensionCount(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := oauthGrant(t, s, newIssuer(false), "alice")
		check := func(what string, state State, cause string, count int) {
			t.Helper()
			if g = found(t, s, "alice"); g.State != state || g.SuspendCause != cause || g.SuspendCount != count {
				t.Errorf("%s: %s, %q, %d", what, g.State, g.SuspendCause, g.SuspendCount)
			}
		}
		if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
			t.Fatal(done, err)
		}
		check("suspended", Suspended, "refused", 1)
		_, err := s.Resume(t.Context(), g, false)
		want(t, "refused again", err, ErrNotFound)
		check("refused again", Suspended, "refused", 2)
		now, err := s.Resume(t.Context(), g, true)
		if err != nil || now.State != Active {
			t.Fatal(now, err)
		}
		check("accepted", Active, "", 0)
	})
}

// TestUse protects the time of the last use from being written too often, from
// machines that note it late, and from every writer of the row's other columns.
func TestUse(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		before := oauthGrant(t, s, i, "alice")
		want(t, "use", s.NoteUses(t.Context(), []string{before.ID}), nil)
		g := found(t, s, "alice")
		if time.Since(g.LastUsed).Abs() > time.Minute || g.Version != before.Version || !g.Changed.Equal(before.Changed) {
			t.Fatalf("used %v, changed %v, version %d", g.LastUsed, g.Changed, g.Version)
		}
		want(t, "use, by another machine", s.NoteUses(t.Context(), []string{g.ID}), nil)
		if again := found(t, s, "alice"); !again.LastUsed.Equal(g.LastUsed) {
			t.Error("noted twice in an hour")
		}
		alter(t, s, "UPDATE grants SET last_used = 1")
		want(t, "use an hour later", s.NoteUses(t.Context(), []string{g.ID}), nil)
		if _, err := refreshed(s, i, "alice"); err != nil {
			t.Fatal(err)
		}
		if g = found(t, s, "alice"); g.LastUsed.Year() < 2000 {
			t.Errorf("after a refresh: used %v", g.LastUsed)
		}
		alter(t, s, "UPDATE grants SET last_used = 1, state = 'suspended'")
		want(t, "use of what was suspended meanwhile", s.NoteUses(t.Context(), []string{g.ID}), nil)
		if g = found(t, s, "alice"); g.LastUsed.UnixMilli() != 1 {
			t.Errorf("suspended: used %v", g.LastUsed)
		}
		want(t, "use of what is gone", s.NoteUses(t.Context(), []string{"none"}), nil)
	})
}
