// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// RedeemRequest is something that the app's page or a native app hands over, such
// as a widget's one-time token.
type RedeemRequest struct {
	// Person is who is signed in; zero with a ticket.
	delegation.Person
	// BrowserToken is the token that the browser brings.
	BrowserToken string
	// Ticket is the native app's, see [Started.Ticket]; empty for a browser.
	Ticket string
	// Handed are the fields of the body.
	Handed url.Values
}

// Redeemed is what redeeming has led to: a grant that is in use.
type Redeemed struct {
	// Person is whose grant it is.
	delegation.Person
	// Reply is what the page is told besides. It holds no secret.
	Reply map[string]string
	// First reports that this call has ended the flow. It is true once, of however
	// many calls of one flow.
	First bool
}

// redemption is the outcome of one exchange, for all who wait for it.
type redemption struct {
	person delegation.Person
	reply  map[string]string
	first  bool
	before bool  // it was made in an earlier call
	err    error // of a flow that has ended without a grant in use

	told atomic.Bool // somebody was told that they are the first
}

// isFirst reports whether the flow has ended in this exchange. It does so once.
func (r *redemption) isFirst() bool { return r.first && r.told.CompareAndSwap(false, true) }

// newRedemptions returns the exchanges of one process. Each is bounded by the call
// of the platform, and by as long for another machine's.
func newRedemptions() *singleflight.Group[string, *redemption] {
	return singleflight.New[string, *redemption](singleflight.Limits{Timeout: 5 * time.Minute, Waiting: 10_000, PerOwner: 1000})
}

// Redeem exchanges at the platform what the page or app hands over, and puts the
// result into use. Of many calls at the same time one is made, and all have its
// outcome. The error is token_rejected if the platform refuses the token, or
// another flow has redeemed it: the flow goes on, with another token. It is
// flow_expired if there is no such flow any more, and account_conflict. After any
// other the outcome is unknown, and the same flow may redeem the same token again.
func (c *Consents) Redeem(ctx context.Context, r RedeemRequest) (*Redeemed, error) {
	if c.o.Redeemer == nil {
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("the provider takes nothing from the app's page"))
	}
	token, err := c.o.Redeemer.OneTimeToken(r.Handed)
	if err != nil {
		return nil, err
	}
	claim := Claim{BrowserToken: r.BrowserToken, OneTimeToken: token}
	if r.Ticket != "" {
		claim = Claim{Ticket: r.Ticket, OneTimeToken: token, Owner: c.owner(delegation.Person{})}
	} else {
		claim.Owner = c.owner(r.Person)
	}
	done, err := c.redeemOnce(ctx, claim, r.Handed)
	if err != nil {
		return nil, err
	}
	first := done.isFirst()
	if done.err != nil {
		return nil, done.err
	}
	return &Redeemed{Person: done.person, Reply: done.reply, First: first}, nil
}

// redeemOnce redeems what a browser or an app has handed over, once for all who
// bring the same at the same time. It goes on when they leave: the platform may
// not take the token again.
func (c *Consents) redeemOnce(ctx context.Context, claim Claim, handed url.Values) (*redemption, error) {
	claim.Timeout = c.o.RedeemTimeout
	who := tuple.Encode(claim.Realm, claim.Subject, claim.StateToken, claim.BrowserToken, claim.Ticket, strconv.FormatBool(claim.AnyBrowser))
	key := sha256.Sum256(tuple.Encode(string(who), claim.OneTimeToken.Reveal()))
	owner := sha256.Sum256(who)
	return c.o.Cache.redemptions.Do(ctx, hex.EncodeToString(key[:]), hex.EncodeToString(owner[:]), func(ctx context.Context) (*redemption, error) {
		store, err := c.store(ctx)
		if err != nil {
			return nil, err
		}
		return c.redeem(ctx, store, claim, handed)
	})
}

// redeem claims a flow, has the provider redeem the token, and puts the result into
// use.
func (c *Consents) redeem(ctx context.Context, store *Store, claim Claim, handed url.Values) (*redemption, error) {
	claimed, err := c.claim(ctx, store, claim)
	if claimed != nil && claimed.Done {
		return &redemption{person: claimed.Person, reply: claimed.Reply, before: true, err: err}, nil
	}
	if err != nil {
		return nil, err
	}
	done := &redemption{person: claimed.Person}
	result, err := c.exchange(ctx, store, claim, claimed, handed)
	if err != nil {
		return nil, err
	}
	if claim.Ticket == "" && claim.Person != claimed.Person {
		// Nobody is signed in: it counts when they are.
		if err := c.retryCommit(ctx, func() error { return store.StageClaim(ctx, claimed, result) }); err != nil {
			c.endUnused(ctx, store, claimed, result, err)
			return nil, refusalOf(err)
		}
		return nil, delegation.ErrPending
	}
	var g *Grant
	err = c.retryCommit(ctx, func() (err error) {
		var first bool
		g, first, err = store.FinishClaim(ctx, claimed, result, c.probe())
		done.first = done.first || first
		return err
	})
	if done.first {
		c.o.Cache.drop(claimed.Person)
	}
	if !done.first { // a flow that has ended with a dropped result has queued that
		c.endUnused(ctx, store, claimed, result, err)
	}
	c.Wake()
	done.reply, done.err = result.Reply, completionError(g, err)
	return done, nil
}

// claimPollInterval is how often somebody else's exchange is looked at.
const claimPollInterval = 200 * time.Millisecond

// claim claims a flow. While another machine redeems the token it waits for the
// outcome. The error is a refusal, for a flow that is done beside it.
func (c *Consents) claim(ctx context.Context, store *Store, claim Claim) (*ClaimedFlow, error) {
	deadline := time.Now().Add(2 * (c.o.RedeemTimeout + DefaultTimeout))
	for {
		claimed, err := store.Claim(ctx, claim)
		switch {
		case err == nil:
			return claimed, nil
		case errors.Is(err, ErrClaimed) && time.Now().Before(deadline):
		case errors.Is(err, ErrClaimed):
			return nil, delegation.Refuse(delegation.IssuerUnavailable, errors.New("another machine redeems in this consent flow, and has not come back"))
		case errors.Is(err, ErrSpent):
			return nil, delegation.Refuse(delegation.TokenRejected, errors.New("another consent flow has redeemed the one-time token"))
		case errors.Is(err, ErrNotFound) && claimed == nil:
			return nil, delegation.Refuse(delegation.FlowExpired, errors.New("there is no consent flow to end: it has expired, has ended, or was begun in another browser"))
		default:
			return claimed, completionError(nil, err) // of a flow that has ended, or a fault
		}
		select {
		case <-time.After(claimPollInterval):
		case <-ctx.Done():
			return nil, delegation.Refuse(delegation.IssuerUnavailable, ctx.Err())
		}
	}
}

// exchange has the provider redeem the token of a claimed flow, and ends the claim
// if that leads to nothing: for good by the platform's last word, otherwise so that
// the same flow may try again. The error is a refusal.
func (c *Consents) exchange(ctx context.Context, store *Store, claim Claim, claimed *ClaimedFlow, handed url.Values) (PendingResult, error) {
	grant, _ := c.startingGrant(ctx, store, StartRequest{Person: claimed.Person})
	call, cancel := context.WithTimeout(ctx, c.o.RedeemTimeout)
	defer cancel()
	result, err := c.o.Redeemer.Redeem(call, &delegation.Redemption{
		Person: claimed.Person, Source: c.o.Source, Scopes: claimed.Scopes, ReturnURL: claimed.ReturnURL, Verifier: claimed.Verifier,
		Secret: claimed.Secret, Grant: grant, Handed: handed, Token: claim.OneTimeToken,
	})
	var pending PendingResult
	if err == nil {
		pending, err = c.pendingResult(result)
	}
	if err == nil {
		return pending, nil
	}
	// Of an account that is not known nobody can say whether somebody else has it in use.
	if unused, e := c.unusedResult(result); e == nil {
		c.revokeUnused(ctx, store, claimed.Person, unused)
	}
	refusal := delegation.AsRefusal(err)
	switch refusal.Code {
	case delegation.TokenRejected, delegation.ConsentDenied, delegation.AccountConflict:
		err = store.RefuseClaim(ctx, claimed, string(refusal.Code))
	default:
		err = store.LeaveClaim(ctx, claimed)
	}
	_ = err // the claim ends by its deadline then; the refusal is what its caller needs
	return PendingResult{}, refusal
}

// The time between two attempts to write what the platform has answered: it doubles
// from the least to the most.
const (
	minCommitPause = 50 * time.Millisecond
	maxCommitPause = time.Second
)

// retryCommit writes what the platform has answered, which cannot be had again, for
// as long as a claim lasts if the database does not take it. The error is the last
// one's.
func (c *Consents) retryCommit(ctx context.Context, commit func() error) error {
	deadline := time.Now().Add(c.o.CallTimeout)
	for pause := minCommitPause; ; pause = min(2*pause, maxCommitPause) {
		err := commit()
		if !errors.Is(err, ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}
