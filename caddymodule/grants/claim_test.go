// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// pageFlow begins a flow that ends by a one-time token.
func pageFlow(t *testing.T, s *Store, who string) *Flow {
	t.Helper()
	f := newFlow(who)
	f.Mode, f.Scopes, f.Secret = FlowPage, []string{"steps"}, delegation.NewSecret("secret of the page")
	return begun(t, s, f)
}

// post is a token that the flow's page posts.
func (j *Flow) post(token string) Claim {
	return Claim{Owner: j.Owner, BrowserToken: j.BrowserToken.Reveal(), OneTimeToken: delegation.NewSecret(token), Timeout: time.Minute}
}

// code is one that the flow's browser comes back with.
func (j *Flow) code(code string) Claim {
	c := j.post(code)
	c.StateToken = j.StateToken.Reveal()
	return c
}

func claimed(t *testing.T, s *Store, c Claim) *ClaimedFlow {
	t.Helper()
	f, err := s.Claim(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func finished(t *testing.T, s *Store, c *ClaimedFlow, account, secret string) {
	t.Helper()
	result := pendingResult(account, secret)
	result.Reply = map[string]string{"publicToken": "public-" + account}
	if _, first, err := s.FinishClaim(t.Context(), c, result, nil); err != nil || !first {
		t.Fatal(first, err)
	}
}

// refusedFor wants the platform's last word to be told.
func refusedFor(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if ended, ok := errors.AsType[*EndedError](err); !ok || ended.Reason != reason {
		t.Errorf("%s: %v, want %s", what, err, reason)
	}
}

// TestClaimOnce protects a one-time token from being redeemed twice: of a hundred
// that bring it at once, on several machines, one is told to redeem it, and the
// others are told what came of it.
func TestClaimOnce(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		stores := []*Store{opened(t, at), opened(t, at), opened(t, at)}
		for mode, claim := range map[FlowMode]func(j *Flow) Claim{
			FlowPage:     func(j *Flow) Claim { return j.post("token") },
			FlowRedirect: func(j *Flow) Claim { return j.code("code") },
		} {
			j := newFlow("alice by " + string(mode))
			j.Mode = mode
			begun(t, stores[0], j)
			var redeemed, told atomic.Int32
			crowd(100, func(i int) {
				s := stores[i%len(stores)]
				for {
					f, err := s.Claim(context.Background(), claim(j))
					switch {
					case errors.Is(err, ErrClaimed):
						continue
					case err != nil:
						t.Error(err)
					case f.Done:
						told.Add(1)
						if mode == FlowPage && f.Reply["publicToken"] != "public-"+string(mode) {
							t.Errorf("the reply is %v", f.Reply)
						}
					default:
						redeemed.Add(1)
						finished(t, s, f, string(mode), "key")
					}
					return
				}
			})
			if redeemed.Load() != 1 || told.Load() != 99 {
				t.Errorf("%s: %d have redeemed, %d were told of it", mode, redeemed.Load(), told.Load())
			}
			holds(t, stores[0], j.Subject, string(mode), "key")
		}
	})
}

// TestT58_TokenOfAnother protects people from a token that was brought in another's
// flow, or that was brought for another provider, whatever browser and person bring
// it.
func TestT58_TokenOfAnother(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice, mallory := pageFlow(t, s, "alice"), pageFlow(t, s, "mallory")
		f := claimed(t, s, alice.post("alices"))
		if f.Owner != alice.Owner || f.Scopes[0] != "steps" || f.Secret.Reveal() != "secret of the page" || f.Verifier.Reveal() != alice.Verifier.Reveal() {
			t.Errorf("%+v", f)
		}
		_, err := s.Claim(t.Context(), mallory.post("alices"))
		want(t, "while it is redeemed", err, ErrSpent)
		finished(t, s, f, "1", "key")
		_, err = s.Claim(t.Context(), mallory.post("alices"))
		want(t, "when it is redeemed", err, ErrSpent)
		for what, c := range map[string]Claim{
			"her name, his browser":    {Owner: alice.Owner, BrowserToken: mallory.BrowserToken.Reveal()},
			"his name, her browser":    {Owner: mallory.Owner, BrowserToken: alice.BrowserToken.Reveal()},
			"no cookie":                {Owner: alice.Owner},
			"nobody":                   {Owner: Owner{Provider: "mydex"}, BrowserToken: mallory.BrowserToken.Reveal()},
			"no cookie where any does": {Owner: mallory.Owner, AnyBrowser: true},
			"another provider":         {Owner: ownerOf("other", "mallory"), BrowserToken: mallory.BrowserToken.Reveal()},
			"a ticket that is none":    {Owner: mallory.Owner, Ticket: mallory.CorrelationID.Reveal()},
		} {
			for _, token := range []string{"alices", "new"} {
				c.OneTimeToken = delegation.NewSecret(token)
				_, err := s.Claim(t.Context(), c)
				want(t, what, err, ErrNotFound)
			}
		}
		holds(t, s, "mallory", "", "")
		finished(t, s, claimed(t, s, mallory.post("his own")), "2", "key")

		// The control, which is also that of another flow of the same person.
		if f, err := s.Claim(t.Context(), alice.post("alices")); err != nil || !f.Done {
			t.Errorf("her own again: %+v, %v", f, err)
		}
		pageFlow(t, s, "alice")
	})
}

// TestClaimRefused protects who has brought a token that the platform refuses: the
// page may bring another, the refused one is not asked for again, and everybody who
// has brought it is told the same.
func TestClaimRefused(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := pageFlow(t, s, "alice")
		f := claimed(t, s, j.post("bad"))
		_, err := s.Claim(t.Context(), j.post("another at once"))
		want(t, "another while it is redeemed", err, ErrClaimed)
		want(t, "refusing", s.RefuseClaim(t.Context(), f, "token_rejected"), nil)
		_, err = s.Claim(t.Context(), j.post("bad"))
		refusedFor(t, "again", err, "token_rejected")
		_, err = s.Claim(t.Context(), pageFlow(t, s, "bob").post("bad"))
		want(t, "in another flow", err, ErrSpent)
		finished(t, s, claimed(t, s, j.post("good")), "1", "key")
		want(t, "refusing late", s.RefuseClaim(t.Context(), f, "token_rejected"), nil)
		_, err = s.Claim(t.Context(), j.post("bad"))
		refusedFor(t, "when it has ended", err, "token_rejected")
		_, err = s.Claim(t.Context(), j.post("third"))
		want(t, "another when it has ended", err, ErrNotFound)
		holds(t, s, "alice", "1", "key")

		// A code is the only one of its flow.
		r := newFlow("carol")
		r.Mode = FlowRedirect
		begun(t, s, r)
		want(t, "refusing", s.RefuseClaim(t.Context(), claimed(t, s, r.code("bad code")), "consent_denied"), nil)
		for _, code := range []string{"bad code", "good code"} {
			_, err = s.Claim(t.Context(), r.code(code))
			refusedFor(t, code, err, "consent_denied")
		}
		_, _, err = s.Complete(t.Context(), r.returned())
		refusedFor(t, "at the next status", err, "consent_denied")
	})
}

// TestClaimCrashed protects who was connecting when a machine ended between the
// platform's answer and the database: whether the token was redeemed, nobody knows.
// The page may bring the same again, and in its flow alone; a code is over.
func TestClaimCrashed(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := pageFlow(t, s, "alice")
		lost := claimed(t, s, j.post("token"))
		_, err := s.Claim(t.Context(), j.post("token"))
		want(t, "before the deadline", err, ErrClaimed)
		want(t, "something is under way", s.Pending(t.Context(), owner("alice")), nil)
		alter(t, s, "UPDATE journeys SET claim_until = 1")
		_, err = s.Claim(t.Context(), j.post("another"))
		want(t, "another token", err, ErrNotFound)
		_, err = s.Claim(t.Context(), pageFlow(t, s, "bob").post("token"))
		want(t, "another flow", err, ErrSpent)
		again := claimed(t, s, j.post("token"))
		_, err = s.Claim(t.Context(), j.post("token"))
		want(t, "while it is tried again", err, ErrClaimed)
		want(t, "the first one gives up", s.LeaveClaim(t.Context(), lost), nil)
		want(t, "the first one is refused", s.RefuseClaim(t.Context(), lost, "token_rejected"), nil)
		_, err = s.Claim(t.Context(), j.post("token"))
		want(t, "it does not disturb the other", err, ErrClaimed)
		finished(t, s, again, "1", "key")
		if _, first, err := s.FinishClaim(t.Context(), lost, pendingResult("1", "late"), nil); err != nil || first {
			t.Errorf("the first one, late: %t %v", first, err)
		}
		holds(t, s, "alice", "1", "key")

		r := newFlow("carol")
		r.Mode = FlowRedirect
		begun(t, s, r)
		f := claimed(t, s, r.code("code"))
		want(t, "nobody knows", s.LeaveClaim(t.Context(), f), nil)
		for _, code := range []string{"code", "another"} {
			_, err = s.Claim(t.Context(), r.code(code))
			want(t, code, err, ErrNotFound)
		}
		// Unless the answer comes all the same, from a machine that was only slow.
		finished(t, s, f, "3", "key")
		holds(t, s, "carol", "3", "key")
	})
}

// TestClaimExpired protects who comes too late with a flow from waiting: they begin
// anew. What was claimed in time counts.
func TestClaimExpired(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		late, inTime := pageFlow(t, s, "late"), pageFlow(t, s, "in time")
		f := claimed(t, s, inTime.post("in time"))
		alter(t, s, fmt.Sprintf("UPDATE journeys SET expires = %d", millis(time.Now())-1))
		_, err := s.Claim(t.Context(), late.post("late"))
		want(t, "late", err, ErrNotFound)
		_, err = s.Claim(t.Context(), inTime.post("in time"))
		want(t, "while it is redeemed", err, ErrClaimed)
		finished(t, s, f, "1", "key")

		// The tokens of a day before are gone.
		alter(t, s, "UPDATE redeemed SET expires = 1")
		want(t, "sweeping", s.sweepFlows(t.Context()), nil)
		var left int
		if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM redeemed").Scan(&left); err != nil || left != 0 {
			t.Errorf("%d tokens are left, %v", left, err)
		}
	})
}

// TestClaimRace protects who brings the same token at the same moment by two
// machines from being told to begin anew: one of them redeems it, and ends the flow
// perhaps between two reads of the other.
func TestClaimRace(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		stores := []*Store{opened(t, at), opened(t, at)}
		for round := range 30 {
			j := newFlow(fmt.Sprint("user ", round))
			j.Mode = FlowPage
			claim := j.post
			if round%2 == 1 {
				j.Mode, claim = FlowRedirect, j.code
			}
			begun(t, stores[0], j)
			text := fmt.Sprint("token ", round)
			var redeemed atomic.Int32
			crowd(2, func(i int) {
				for {
					f, err := stores[i].Claim(context.Background(), claim(text))
					if errors.Is(err, ErrClaimed) {
						continue
					}
					if err != nil {
						t.Errorf("%d: %v", round, err)
					} else if !f.Done {
						redeemed.Add(1)
						finished(t, stores[i], f, text, "key")
					}
					return
				}
			})
			if redeemed.Load() != 1 {
				t.Errorf("%d: %d have redeemed", round, redeemed.Load())
			}
		}
	})
}
