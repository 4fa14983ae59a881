// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func begun(t *testing.T, s *Store, j *Journey) *Journey {
	t.Helper()
	if err := s.Begin(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestT56_ConsentLinkOfAnother protects a member who is sent the link of
// somebody else's journey and consents: it does not count in any browser but
// the one that set out, nor for anybody but who set out.
func TestT56_ConsentLinkOfAnother(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		attack := begun(t, s, &Journey{Owner: owner("mallory"), Kind: Connect})
		// The victim consents, and comes back in their own browser.
		if err := s.Stage(t.Context(), "mydex", "", attack.Link.Reveal(), set("victim", "key")); err != nil {
			t.Fatal(err)
		}
		own := begun(t, s, &Journey{Owner: owner("victim"), Kind: Connect})
		for what, c := range map[string]struct {
			who           Owner
			back, browser string
		}{
			"the victim, another's address":        {owner("victim"), attack.Back.Reveal(), own.Browser.Reveal()},
			"the victim, without a cookie":         {owner("victim"), attack.Back.Reveal(), ""},
			"mallory's name, the victim's browser": {owner("mallory"), attack.Back.Reveal(), own.Browser.Reveal()},
			"mallory's name, no cookie":            {owner("mallory"), attack.Back.Reveal(), ""},
			"the tokens the wrong way round":       {owner("mallory"), attack.Back.Reveal(), attack.Back.Reveal()},
		} {
			_, _, err := s.Activate(t.Context(), Arrival{Owner: c.who, Back: c.back, Browser: c.browser, AnyBrowser: true})
			want(t, what, err, ErrOther)
		}
		_, _, err := s.Activate(t.Context(), Arrival{Owner: owner("mallory"), Back: attack.Link.Reveal(), Browser: attack.Browser.Reveal(), AnyBrowser: true})
		want(t, "the platform's token", err, ErrNone)
		holds(t, s, "mallory", "", "")
		holds(t, s, "victim", "", "")

		// For a phone that reads a code there is no cookie, but still the person.
		phone := begun(t, s, &Journey{Owner: owner("carol"), Kind: Connect, AnyBrowser: true, Life: time.Minute})
		if phone.Browser.Reveal() != "" {
			t.Error("there is a cookie")
		}
		if err := s.Stage(t.Context(), "mydex", "", phone.Link.Reveal(), set("c", "key")); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("mallory"), Back: phone.Back.Reveal(), Browser: "", AnyBrowser: true})
		want(t, "another person's phone", err, ErrOther)
		if _, _, err := s.Activate(t.Context(), Arrival{Owner: owner("carol"), Back: phone.Back.Reveal(), Browser: "", AnyBrowser: true}); err != nil {
			t.Error(err)
		}
	})
}

// TestDisorder protects from a platform that tells twice, late, or of nothing:
// what is told again changes nothing, and what is told otherwise is not taken.
func TestDisorder(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		stage := func(link string, what Staged) error { return s.Stage(t.Context(), "mydex", "", link, what) }
		j := begun(t, s, &Journey{Owner: owner("alice"), Kind: Connect})
		link, back, browser := j.Link.Reveal(), j.Back.Reveal(), j.Browser.Reveal()
		activate := func() (*Grant, error) {
			g, _, err := s.Activate(t.Context(), Arrival{Owner: owner("alice"), Back: back, Browser: browser, AnyBrowser: true})
			return g, err
		}

		want(t, "an unknown link", stage("none", set("1", "key")), ErrNone)
		want(t, "another token as link", stage(back, set("1", "key")), ErrNone)
		want(t, "another provider", s.Stage(t.Context(), "other", "", link, set("1", "key")), ErrNone)
		_, err := activate()
		want(t, "back before the platform told", err, ErrPending)
		if err := s.Pending(t.Context(), owner("alice")); err != nil {
			t.Error(err)
		}
		for range 3 {
			want(t, "told", stage(link, set("1", "key")), nil)
		}
		want(t, "told otherwise", stage(link, set("2", "key")), ErrNone)
		want(t, "told with another key", stage(link, set("1", "key-2")), ErrNone)
		holds(t, s, "alice", "", "") // not before alice is back
		first, err := activate()
		want(t, "back", err, nil)
		want(t, "told again, late", stage(link, set("1", "key")), nil)
		want(t, "told otherwise, late", stage(link, set("2", "key")), ErrNone)
		again, err := activate()
		if err != nil || again.ID != first.ID {
			t.Errorf("back again: %+v %v", again, err)
		}
		holds(t, s, "alice", "1", "key")
		err = s.Pending(t.Context(), owner("alice"))
		want(t, "nothing is under way", err, ErrNone)

		late := begun(t, s, &Journey{Owner: owner("alice"), Kind: Connect})
		alter(t, s, "UPDATE journeys SET expires = 1 WHERE state = 'open'")
		want(t, "expired", stage(late.Link.Reveal(), set("3", "key")), ErrNone)
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("alice"), Back: late.Back.Reveal(), Browser: late.Browser.Reveal(), AnyBrowser: true})
		want(t, "back too late", err, ErrNone)
		holds(t, s, "alice", "1", "key")
	})
}

// TestAnyBrowser protects the owner of a journey that ends in any browser from
// one that was forgotten: who was told of waits an hour, not a week.
func TestAnyBrowser(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		expire := func(ago time.Duration) {
			t.Helper()
			alter(t, s, fmt.Sprintf("UPDATE journeys SET expires = %d", millis(time.Now().Add(-ago))))
		}
		phone := begun(t, s, &Journey{Owner: owner("carol"), Kind: Connect, AnyBrowser: true, Life: time.Minute})
		home := begun(t, s, &Journey{Owner: owner("dave"), Kind: Connect, Life: time.Minute})
		want(t, "told", s.Stage(t.Context(), "mydex", "", phone.Link.Reveal(), set("c", "key")), nil)
		want(t, "told", s.Stage(t.Context(), "mydex", "", home.Link.Reveal(), set("d", "key")), nil)
		expire(keptAny - time.Minute)
		err := s.Pending(t.Context(), owner("carol"))
		want(t, "within the hour", err, nil)
		expire(keptAny + time.Minute)
		err = s.Pending(t.Context(), owner("carol"))
		want(t, "after it", err, ErrNone)
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("carol"), Back: phone.Back.Reveal(), Browser: "", AnyBrowser: true})
		want(t, "after it", err, ErrNone)
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("dave"), Back: home.Back.Reveal(), Browser: home.Browser.Reveal(), AnyBrowser: true})
		want(t, "the browser that set out", err, nil)

		again := begun(t, s, &Journey{Owner: owner("carol"), Kind: Connect, AnyBrowser: true, Life: time.Minute})
		want(t, "told", s.Stage(t.Context(), "mydex", "", again.Link.Reveal(), set("c", "key-2")), nil)
		expire(keptAny - time.Minute)
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("carol"), Back: again.Back.Reveal(), Browser: "", AnyBrowser: true})
		want(t, "within the hour", err, nil)
		holds(t, s, "carol", "c", "key-2")
	})
}

// TestAbandon protects somebody whose journey the platform does not know of
// from waiting for it, and one that it has told of from being given up.
func TestAbandon(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := begun(t, s, &Journey{Owner: owner("alice"), Kind: Connect})
		want(t, "given up", s.Abandon(t.Context(), j), nil)
		err := s.Pending(t.Context(), owner("alice"))
		want(t, "nothing is under way", err, ErrNone)
		want(t, "told", s.Stage(t.Context(), "mydex", "", j.Link.Reveal(), set("1", "key")), ErrNone)
		j = begun(t, s, &Journey{Owner: owner("alice"), Kind: Connect})
		want(t, "told", s.Stage(t.Context(), "mydex", "", j.Link.Reveal(), set("1", "key")), nil)
		want(t, "given up too late", s.Abandon(t.Context(), j), nil)
		_, _, err = s.Activate(t.Context(), Arrival{Owner: owner("alice"), Back: j.Back.Reveal(), Browser: j.Browser.Reveal(), AnyBrowser: true})
		want(t, "back", err, nil)
	})
}

// TestUpdate protects a grant from an update of another account, and people
// who are not connected from one of nothing.
func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		want(t, "nothing to update", s.Begin(t.Context(), &Journey{Owner: owner("alice"), Kind: Update}), ErrNone)
		connected(t, s, "alice", "1", "key-1")
		update := func(account, secret string) error {
			j := begun(t, s, &Journey{Owner: owner("alice"), Kind: Update})
			if err := s.Stage(t.Context(), "mydex", "", j.Link.Reveal(), set(account, secret)); err != nil {
				return err
			}
			_, _, err := s.Activate(t.Context(), Arrival{Owner: owner("alice"), Back: j.Back.Reveal(), Browser: j.Browser.Reveal(), AnyBrowser: true})
			return err
		}
		want(t, "of another account", update("2", "key-2"), ErrNone)
		holds(t, s, "alice", "1", "key-1")
		want(t, "of the same", update("1", "key-3"), nil)
		holds(t, s, "alice", "1", "key-3")
	})
}

// TestManyJourneys protects the database from a page that is opened again and
// again: the oldest journeys give way, those of others do not.
func TestManyJourneys(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		bob := begun(t, s, &Journey{Owner: owner("bob"), Kind: Connect})
		var links []delegation.Secret
		for range maxOpen + 5 {
			alter(t, s, "UPDATE journeys SET created = created - 1000") // those before are older
			links = append(links, begun(t, s, &Journey{Owner: owner("alice"), Kind: Connect}).Link)
		}
		taken := 0
		for _, link := range links {
			if s.Stage(t.Context(), "mydex", "", link.Reveal(), set("1", "key")) == nil {
				taken++
			}
		}
		if taken != maxOpen {
			t.Errorf("%d journeys are open", taken)
		}
		want(t, "the newest", s.Stage(t.Context(), "mydex", "", links[len(links)-1].Reveal(), set("1", "key")), nil)
		want(t, "another's", s.Stage(t.Context(), "mydex", "", bob.Link.Reveal(), set("2", "key")), nil)
	})
}
