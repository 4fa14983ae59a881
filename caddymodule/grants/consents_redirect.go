// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// defaultPatience is how long a browser that has come back waits for its code to be
// exchanged: an empty page for longer looks like a broken one.
const defaultPatience = delegation.DefaultTimeout

// returned is what redeeming a code has led to.
type returned struct {
	done *redemption
	err  error
}

// redeemReturn redeems the code of a redirect. The error is [delegation.ErrPending] for
// a vendor that is slower than a browser should wait: the code is spent by then, so
// the exchange goes on without the browser, and r.Late is called with its outcome. So it is
// for a browser that has left, and the error is that of ctx.
func (c *Consents) redeemReturn(ctx context.Context, claim Claim, r ReturnRequest) (*redemption, error) {
	came, left := make(chan returned), make(chan struct{})
	background.Go("redeeming a code", func() {
		done, err := c.redeemOnce(delegation.Detach(ctx), claim, r.Query)
		select {
		case came <- returned{done, err}:
		case <-left:
			reportLate(done, err, r.Late)
		}
	})
	var patience <-chan time.Time
	if !r.untilEnd {
		timer := time.NewTimer(c.o.Patience)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case result := <-came:
		return result.done, result.err
	case <-patience:
		close(left)
		return nil, delegation.ErrPending
	case <-ctx.Done():
		close(left)
		return nil, ctx.Err()
	}
}

// reportLate tells how a flow has ended whose browser was sent on before. One that has
// not ended, or had before, is told by whoever asks next.
func reportLate(done *redemption, err error, late func(first bool, err error)) {
	if late == nil || errors.Is(err, delegation.ErrPending) || err == nil && done.before {
		return
	}
	first := false
	if err == nil {
		first, err = done.isFirst(), done.err
	}
	if first || err != nil {
		late(first, err)
	}
}
