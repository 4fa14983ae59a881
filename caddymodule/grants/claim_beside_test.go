// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
)

// TestClaimBesideWriters protects a claim, which waits for no other writer, from
// those that have read the flow before: each sees that it was claimed, and begins
// anew, also on a machine with another primary key.
func TestClaimBesideWriters(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		s, writers, _ := beforeAndAfter(t, at)
		for what, c := range map[string]struct {
			write func(who string, j, other *Flow) error
			want  error
		}{
			"the same again":    {func(_ string, j, _ *Flow) error { return claimError(writers, j.post("token of "+j.Subject)) }, ErrClaimed},
			"another token":     {func(_ string, j, _ *Flow) error { return claimError(writers, j.post("other")) }, ErrClaimed},
			"in another's flow": {func(_ string, j, other *Flow) error { return claimError(writers, other.post("token of "+j.Subject)) }, ErrSpent},
			"reseal":            {func(string, *Flow, *Flow) error { _, err := writers.Reseal(t.Context(), "root"); return err }, nil},
			"begin ten more": {func(who string, _, _ *Flow) error {
				for range maxOpenFlows {
					j := newFlow(who)
					j.Mode = FlowPage
					if err := writers.Begin(t.Context(), j); err != nil {
						return err
					}
				}
				return nil
			}, nil},
		} {
			t.Run(what, func(t *testing.T) {
				who := "alice, " + what
				j, other := newFlow(who), newFlow("bob, "+what)
				j.Mode, other.Mode = FlowPage, FlowPage
				begun(t, s, j)
				begun(t, s, other)
				claim := j.post("token of " + who)
				claim.Timeout = time.Minute
				var judged *judgedClaim
				do := func(ctx context.Context, tx querier) (err error) {
					if judged, err = s.judgeClaim(ctx, tx, claim); err == nil {
						err = s.takeClaim(ctx, tx, claim, judged)
					}
					return err
				}
				write := func() error { return c.write(who, j, other) }
				var err error
				if what == "begin ten more" { // which need not wait
					want(t, "claimed", s.write(t.Context(), "claiming", do), nil)
					err = write()
				} else {
					err = inBetween(t, s, do, write)
				}
				want(t, what, err, c.want)
				judged.action = consent.Claim
				claimed, err := judged.answer(claim, nil)
				if err != nil {
					t.Fatal(err)
				}
				finished(t, s, claimed, "account of "+who, "key")
				holds(t, s, who, "account of "+who, "key")
			})
		}
	})
}

func claimError(s *Store, c Claim) error {
	_, err := s.Claim(context.Background(), c)
	return err
}
