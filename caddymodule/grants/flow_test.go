// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func begun(t *testing.T, s *Store, j *Flow) *Flow {
	t.Helper()
	if err := s.Begin(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestT56_ConsentLinkOfAnother protects a member who is sent the link of
// somebody else's consent flow and consents: it does not count in any browser but
// the one that set out, nor for anybody but who set out.
func TestT56_ConsentLinkOfAnother(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		attack := begun(t, s, &Flow{Owner: owner("mallory"), Kind: FlowConnect})
		// The victim consents, and comes back in their own browser.
		if err := s.Stage(t.Context(), "mydex", "", attack.CorrelationID.Reveal(), pendingResult("victim", "key")); err != nil {
			t.Fatal(err)
		}
		own := begun(t, s, &Flow{Owner: owner("victim"), Kind: FlowConnect})
		for what, c := range map[string]struct {
			who           Owner
			back, browser string
		}{
			"the victim, another's address":        {owner("victim"), attack.StateToken.Reveal(), own.BrowserToken.Reveal()},
			"the victim, without a cookie":         {owner("victim"), attack.StateToken.Reveal(), ""},
			"mallory's name, the victim's browser": {owner("mallory"), attack.StateToken.Reveal(), own.BrowserToken.Reveal()},
			"mallory's name, no cookie":            {owner("mallory"), attack.StateToken.Reveal(), ""},
			"the tokens the wrong way round":       {owner("mallory"), attack.StateToken.Reveal(), attack.StateToken.Reveal()},
		} {
			_, _, err := s.Complete(t.Context(), Return{Owner: c.who, StateToken: c.back, BrowserToken: c.browser, AnyBrowser: true})
			want(t, what, err, ErrForeignFlow)
		}
		_, _, err := s.Complete(t.Context(), Return{Owner: owner("mallory"), StateToken: attack.CorrelationID.Reveal(), BrowserToken: attack.BrowserToken.Reveal(), AnyBrowser: true})
		want(t, "the platform's token", err, ErrNotFound)
		holds(t, s, "mallory", "", "")
		holds(t, s, "victim", "", "")

		// For a phone that reads a code there is no cookie, but still the person.
		phone := begun(t, s, &Flow{Owner: owner("carol"), Kind: FlowConnect, AnyBrowser: true, Lifetime: time.Minute})
		if phone.BrowserToken.Reveal() != "" {
			t.Error("there is a cookie")
		}
		if err := s.Stage(t.Context(), "mydex", "", phone.CorrelationID.Reveal(), pendingResult("c", "key")); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Complete(t.Context(), Return{Owner: owner("mallory"), StateToken: phone.StateToken.Reveal(), BrowserToken: "", AnyBrowser: true})
		want(t, "another person's phone", err, ErrForeignFlow)
		if _, _, err := s.Complete(t.Context(), Return{Owner: owner("carol"), StateToken: phone.StateToken.Reveal(), BrowserToken: "", AnyBrowser: true}); err != nil {
			t.Error(err)
		}
	})
}

// TestEventsOutOfOrder protects from a platform that tells twice, late, or of nothing:
// what is told again changes nothing, and what is told otherwise is not taken.
func TestEventsOutOfOrder(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		stage := func(link string, what PendingResult) error { return s.Stage(t.Context(), "mydex", "", link, what) }
		j := begun(t, s, &Flow{Owner: owner("alice"), Kind: FlowConnect})
		link, back, browser := j.CorrelationID.Reveal(), j.StateToken.Reveal(), j.BrowserToken.Reveal()
		activate := func() (*Grant, error) {
			g, _, err := s.Complete(t.Context(), Return{Owner: owner("alice"), StateToken: back, BrowserToken: browser, AnyBrowser: true})
			return g, err
		}

		want(t, "an unknown link", stage("none", pendingResult("1", "key")), ErrNotFound)
		want(t, "another token as link", stage(back, pendingResult("1", "key")), ErrNotFound)
		want(t, "another provider", s.Stage(t.Context(), "other", "", link, pendingResult("1", "key")), ErrNotFound)
		_, err := activate()
		want(t, "back before the platform told", err, ErrPending)
		if err := s.Pending(t.Context(), owner("alice")); err != nil {
			t.Error(err)
		}
		for range 3 {
			want(t, "told", stage(link, pendingResult("1", "key")), nil)
		}
		want(t, "told otherwise", stage(link, pendingResult("2", "key")), ErrNotFound)
		want(t, "told with another key", stage(link, pendingResult("1", "key-2")), ErrNotFound)
		holds(t, s, "alice", "", "") // not before alice is back
		first, err := activate()
		want(t, "back", err, nil)
		want(t, "told again, late", stage(link, pendingResult("1", "key")), nil)
		want(t, "told otherwise, late", stage(link, pendingResult("2", "key")), ErrNotFound)
		again, err := activate()
		if err != nil || again.ID != first.ID {
			t.Errorf("back again: %+v %v", again, err)
		}
		holds(t, s, "alice", "1", "key")
		err = s.Pending(t.Context(), owner("alice"))
		want(t, "nothing is under way", err, ErrNotFound)

		late := begun(t, s, &Flow{Owner: owner("alice"), Kind: FlowConnect})
		alter(t, s, "UPDATE journeys SET expires = 1 WHERE state = 'open'")
		want(t, "expired", stage(late.CorrelationID.Reveal(), pendingResult("3", "key")), ErrNotFound)
		_, _, err = s.Complete(t.Context(), Return{Owner: owner("alice"), StateToken: late.StateToken.Reveal(), BrowserToken: late.BrowserToken.Reveal(), AnyBrowser: true})
		want(t, "back too late", err, ErrNotFound)
		holds(t, s, "alice", "1", "key")
	})
}

// TestAnyBrowser protects the owner of a consent flow that ends in any browser from
// one that was forgotten: who was told of waits an hour, not a week.
func TestAnyBrowser(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		expire := func(ago time.Duration) {
			t.Helper()
			alter(t, s, fmt.Sprintf("UPDATE journeys SET expires = %d", millis(time.Now().Add(-ago))))
		}
		phone := begun(t, s, &Flow{Owner: owner("carol"), Kind: FlowConnect, AnyBrowser: true, Lifetime: time.Minute})
		home := begun(t, s, &Flow{Owner: owner("dave"), Kind: FlowConnect, Lifetime: time.Minute})
		want(t, "told", s.Stage(t.Context(), "mydex", "", phone.CorrelationID.Reveal(), pendingResult("c", "key")), nil)
		want(t, "told", s.Stage(t.Context(), "mydex", "", home.CorrelationID.Reveal(), pendingResult("d", "key")), nil)
		expire(returnGraceAnyBrowser - time.Minute)
		err := s.Pending(t.Context(), owner("carol"))
		want(t, "within the hour", err, nil)
		expire(returnGraceAnyBrowser + time.Minute)
		err = s.Pending(t.Context(), owner("carol"))
		want(t, "after it", err, ErrNotFound)
		_, _, err = s.Complete(t.Context(), Return{Owner: owner("carol"), StateToken: phone.StateToken.Reveal(), BrowserToken: "", AnyBrowser: true})
		want(t, "after it", err, ErrNotFound)
		_, _, err = s.Complete(t.Context(), Return{Owner: owner("dave"), StateToken: home.StateToken.Reveal(), BrowserToken: home.BrowserToken.Reveal(), AnyBrowser: true})
		want(t, "the browser that set out", err, nil)

		again := begun(t, s, &Flow{Owner: owner("carol"), Kind: FlowConnect, AnyBrowser: true, Lifetime: time.Minute})
		want(t, "told", s.Stage(t.Context(), "mydex", "", again.CorrelationID.Reveal(), pendingResult("c", "key-2")), nil)
		expire(returnGraceAnyBrowser - time.Minute)
		_, _, err = s.Complete(t.Context(), Return{Owner: owner("carol"), StateToken: again.StateToken.Reveal(), BrowserToken: "", AnyBrowser: true})
		want(t, "within the hour", err, nil)
		holds(t, s, "carol", "c", "key-2")
	})
}

// TestUpdate protects a grant from an update of another account, and people
// who are not connected from one of nothing.
func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		want(t, "nothing to update", s.Begin(t.Context(), &Flow{Owner: owner("alice"), Kind: FlowUpdate}), ErrNotFound)
		connected(t, s, "alice", "1", "key-1")
		update := func(account, secret string) error {
			j := begun(t, s, &Flow{Owner: owner("alice"), Kind: FlowUpdate})
			if err := s.Stage(t.Context(), "mydex", "", j.CorrelationID.Reveal(), pendingResult(account, secret)); err != nil {
				return err
			}
			_, _, err := s.Complete(t.Context(), Return{Owner: owner("alice"), StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true})
			return err
		}
		want(t, "of another account", update("2", "key-2"), ErrNotFound)
		holds(t, s, "alice", "1", "key-1")
		want(t, "of the same", update("1", "key-3"), nil)
		holds(t, s, "alice", "1", "key-3")
	})
}

// TestManyFlows protects the database from a page that is opened again and
// again: the oldest consent flows give way, those of others do not.
func TestManyFlows(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		bob := begun(t, s, &Flow{Owner: owner("bob"), Kind: FlowConnect})
		var links []delegation.Secret
		for range maxOpenFlows + 5 {
			alter(t, s, "UPDATE journeys SET created = created - 1000") // those before are older
			links = append(links, begun(t, s, &Flow{Owner: owner("alice"), Kind: FlowConnect}).CorrelationID)
		}
		taken := 0
		for _, link := range links {
			if s.Stage(t.Context(), "mydex", "", link.Reveal(), pendingResult("1", "key")) == nil {
				taken++
			}
		}
		if taken != maxOpenFlows {
			t.Errorf("%d journeys are open", taken)
		}
		want(t, "the newest", s.Stage(t.Context(), "mydex", "", links[len(links)-1].Reveal(), pendingResult("1", "key")), nil)
		want(t, "another's", s.Stage(t.Context(), "mydex", "", bob.CorrelationID.Reveal(), pendingResult("2", "key")), nil)
	})
}
