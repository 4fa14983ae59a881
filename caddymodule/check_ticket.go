// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkTickets posts to the address that a native app's library posts to, of each
// delegate_connect whose platform has a widget. The library has no session, so the
// right answer is delegate_connect's, that nothing was handed over. Any other is a warning:
// a site without native apps can do without. There is no finding without a widget.
func (l *checkedConfig) checkTickets(ctx context.Context, provider string, tell func(delegation.Finding)) {
	for _, p := range l.handlers {
		if p.name() != "delegate_connect" || provider != "" && text(p.node, "provider") != provider {
			continue
		}
		c, err := l.loadConnect(&p)
		if err != nil || !c.provider.endsInPage() {
			continue // the step callback says so
		}
		where := c.baseURL.String() + redeemPath + "/…"
		res, f := c.postUnknown(ctx, redeemPath+"/"+checkTicket, where)
		if res != nil {
			f = judgeTicket(res, where, &p)
		}
		f.Step = "redeem"
		f.Detail = c.Provider + ": " + f.Detail
		tell(f)
	}
}

// checkTicket is nobody's ticket.
const checkTicket = "check"

// judgeTicket tells whether it was delegate_connect that answered, and who stands in
// front of it if not.
func judgeTicket(res *unknownAnswer, where string, p *placedHandler) delegation.Finding {
	details := res.header.Get("Proxy-Status")
	for _, code := range []delegation.Code{delegation.TokenRejected, delegation.TooManyRequests} {
		if strings.HasSuffix(details, `; details="`+string(code)+`"`) {
			return delegation.Finding{Detail: where + " is answered by delegate_connect, so native apps can hand over what they get", OK: true}
		}
	}
	f := delegation.Finding{Detail: answeredElsewhere(res, where), OK: true, Warning: true}
	if before := authenticatorsOf(p.before); len(before) > 0 && res.status != http.StatusNotFound {
		f.Detail += ": a native app's library has no session, so " + strings.Join(before, " and ") +
			" has to let it pass; write `not path /redeem/*` in the matcher (within handle_path the path is the one that is left, without the prefix); app_session with optional lets it pass as well. Without native apps it may stay"
		return f
	}
	f.Detail += ": see that url is where delegate_connect stands, and that nothing in front of Caddy answers"
	f.OK, f.Warning = false, false
	return f
}
