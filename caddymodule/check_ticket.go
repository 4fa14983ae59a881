// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkTickets asks for a ticket that there is not at each delegate_connect that has
// some: it posts as a native app's library does, whose platform has a widget, and opens
// one of data sources as a browser does. Neither has a session, so the right answer is
// delegate_connect's. Any other is a warning with a widget: a site without native apps
// can do without. There is no finding where there are no tickets.
func (l *checkedConfig) checkTickets(ctx context.Context, provider string, tell func(delegation.Finding)) {
	for _, p := range l.handlers {
		if p.name() != "delegate_connect" || provider != "" && text(p.node, "provider") != provider {
			continue
		}
		c, err := l.loadConnect(&p)
		if err != nil {
			continue // the step callback says so
		}
		var kind ticketKind
		switch {
		case c.provider.endsInPage():
			kind = widgetTickets
		case c.hasSources() && (len(c.appRedirects) > 0 || c.CrossDevice > 0):
			kind = browserTickets
		default:
			continue
		}
		where := c.baseURL.String() + kind.path + "/…"
		res, f := c.sendUnknown(ctx, kind.method, kind.path+"/"+checkTicket, where)
		if res != nil {
			f = kind.judge(res, where, &p)
		}
		f.Step = kind.step
		f.Detail = c.Provider + ": " + f.Detail
		tell(f)
	}
}

// checkTicket is nobody's ticket.
const checkTicket = "check"

// ticketKind is how tickets of one kind come, and how delegate_connect answers one that
// there is not.
type ticketKind struct {
	step, method, path string
	right              delegation.Code
	who, can           string // of findings
	needed             bool   // by the settings: what is in front of it has to let it pass
}

var (
	widgetTickets = ticketKind{
		step: "redeem", method: http.MethodPost, path: redeemPath, right: delegation.TokenRejected,
		who: "a native app's library", can: "native apps can hand over what they get",
	}
	browserTickets = ticketKind{
		step: "go", method: http.MethodGet, path: goPath, right: delegation.FlowExpired,
		who: "the browser of an app or a letter", can: "browsers can open tickets", needed: true,
	}
)

// judge tells whether it was delegate_connect that answered, and who stands in front of
// it if not.
func (k *ticketKind) judge(res *unknownAnswer, where string, p *placedHandler) delegation.Finding {
	details := res.header.Get("Proxy-Status")
	for _, code := range []delegation.Code{k.right, delegation.TooManyRequests} {
		if strings.HasSuffix(details, `; details="`+string(code)+`"`) {
			return delegation.Finding{Detail: where + " is answered by delegate_connect, so " + k.can, OK: true}
		}
	}
	f := delegation.Finding{Detail: answeredElsewhere(res, where), OK: true, Warning: true}
	if before := authenticatorsOf(p.before); len(before) > 0 && res.status != http.StatusNotFound {
		f.Detail += ": " + k.who + " has no session, so " + strings.Join(before, " and ") +
			" has to let it pass; write `not path " + k.path + "/*` in the matcher (within handle_path the path is the one that is left, without the prefix); app_session with optional lets it pass as well"
		if f.OK = !k.needed; k.needed {
			f.Warning = false
			return f
		}
		f.Detail += ". Without native apps it may stay"
		return f
	}
	f.Detail += ": see that url is where delegate_connect stands, and that nothing in front of Caddy answers"
	f.OK, f.Warning = false, false
	return f
}
