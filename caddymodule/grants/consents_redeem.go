// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
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

// redemption is one call of the platform, for all who wait for it.
type redemption struct{ Redeemed }

func newRedemptions() *singleflight.Group[string, *redemption] {
	return singleflight.New[string, *redemption](singleflight.Limits{Timeout: 4 * delegation.DefaultTimeout, Waiting: 10_000, PerOwner: 1000})
}

// Redeem exchanges at the platform what the page or app hands over, and puts the
// result into use. Of many calls at the same time one is made, and all have its
// outcome. The error is token_rejected if the platform refuses the token, or
// another flow has redeemed it: the flow goes on, with another token. It is
// flow_expired if there is no such flow any more, and account_conflict. After any
// other the outcome is unknown, and the same flow may redeem the same token again.
func (c *Consents) Redeem(context.Context, RedeemRequest) (*Redeemed, error) {
	if c.o.Redeemer == nil {
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("the provider takes nothing from the app's page"))
	}
	return nil, c.faultOf("redeems nothing yet")
}
