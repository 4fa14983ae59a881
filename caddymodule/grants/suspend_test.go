// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestSuspensionCount protects a person from being tried too often, and an operator
// from guessing: why a grant is suspended and how often its credential was refused
// are in the row until it is accepted.
func TestSuspensionCount(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
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

		// The same by a refresh token that is tried again.
		if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
			t.Fatal(done, err)
		}
		stale := g
		check("suspended", Suspended, "refused", 1)
		_, err = s.RetryGrant(t.Context(), stale, callTimeout, i.spend)
		want(t, "by what was read before", err, ErrNotFound)
		_, err = s.RetryGrant(t.Context(), g, callTimeout, func(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
			return nil, delegation.Refuse(delegation.DelegationRefused, errInvalidGrant)
		})
		if delegation.AsRefusal(err).Code != delegation.DelegationRefused {
			t.Error(err)
		}
		check("refused again", Suspended, "refused", 1)
		if _, err := s.RetryGrant(t.Context(), g, callTimeout, i.spend); err != nil {
			t.Fatal(err)
		}
		check("accepted", Active, "", 0)
		hasTokens(t, s, i, "alice", 1)
	})
}

// TestUseAndEnd protects the time of the last use and the end of a grant from being
// written too often, and from every writer of the row's other columns.
func TestUseAndEnd(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s, i := opened(t, at), newIssuer(false)
		g := oauthGrant(t, s, i, "alice")
		want(t, "use", s.NoteUse(t.Context(), g), nil)
		ends := time.Now().Add(24 * time.Hour).Truncate(time.Millisecond)
		want(t, "end", s.SetEnds(t.Context(), g, ends), nil)
		before := g
		g = found(t, s, "alice")
		if time.Since(g.LastUsed).Abs() > time.Minute || !g.Ends.Equal(ends) || g.Version != before.Version {
			t.Fatalf("used %v, ends %v, version %d", g.LastUsed, g.Ends, g.Version)
		}
		want(t, "use, by what was read before", s.NoteUse(t.Context(), before), nil)
		if again := found(t, s, "alice"); !again.LastUsed.Equal(g.LastUsed) {
			t.Error("noted twice in an hour")
		}
		alter(t, s, "UPDATE grants SET last_used = 1")
		want(t, "use an hour later", s.NoteUse(t.Context(), before), nil)
		if _, err := refreshed(s, i, "alice"); err != nil {
			t.Fatal(err)
		}
		if g = found(t, s, "alice"); g.LastUsed.Year() < 2000 || !g.Ends.Equal(ends) {
			t.Errorf("after a refresh: used %v, ends %v", g.LastUsed, g.Ends)
		}
		want(t, "no end", s.SetEnds(t.Context(), g, time.Time{}), nil)
		if g = found(t, s, "alice"); !g.Ends.IsZero() {
			t.Errorf("ends %v", g.Ends)
		}
	})
}
