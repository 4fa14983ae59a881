// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// flowLifetime is how long a flow may take unless it says otherwise.
	flowLifetime = time.Hour

	// returnGrace is how long a flow is kept after that. A staged result waits for
	// the browser, and a callback that comes twice is told from one that belongs to
	// no flow.
	returnGrace = 7 * 24 * time.Hour

	// returnGraceAnyBrowser is how long a staged result waits in a flow for any
	// browser, or of a data source. The owner has to sign in by then.
	returnGraceAnyBrowser = time.Hour

	// maxOpenFlows is how many open flows an owner may have. The oldest give way: a
	// page that is opened again and again begins one each time.
	maxOpenFlows = 10
)

// FlowKind is the purpose of a flow.
type FlowKind string

// The kinds of consent flows.
const (
	// FlowConnect is the first consent, or consent with another account.
	FlowConnect FlowKind = "connect"
	// FlowUpdate is consent to something more, for the account that is connected.
	FlowUpdate FlowKind = "update"
)

// FlowMode is how the outcome of a flow comes.
type FlowMode string

// The modes of flows.
const (
	// FlowCallback flows end by a call of the platform's server, see [Store.Stage].
	FlowCallback FlowMode = "callback"
	// FlowRedirect flows end by a code in the address that the browser comes back
	// to. It is redeemed once (RFC 6749 section 4.1.2).
	FlowRedirect FlowMode = "redirect"
	// FlowPage flows end by a one-time token that the app's page posts, or an app
	// that has the flow's ticket.
	FlowPage FlowMode = "page"
)

// Flow is a person's way to a grant: from [Store.Begin] over the platform's consent
// page and its callback ([Store.Stage]) to the browser's return ([Store.Complete]);
// or to what the browser has brought, which is redeemed ([Store.Claim]).
type Flow struct {
	Owner
	// Kind is the purpose of the flow.
	Kind FlowKind
	// Mode is how its outcome comes. Default: [FlowCallback].
	Mode FlowMode
	// Ticket makes the CorrelationID a ticket. With [FlowPage] whoever has it
	// redeems a one-time token in the flow, without session and cookie: for an app's
	// SDK. With [FlowRedirect] the first browser that opens it is the one of the flow
	// from then on, see [Store.OpenTicket]: nobody else can end it.
	Ticket bool
	// With a ticket of [FlowRedirect], Page is the platform's page, where the browser
	// that opens it is to go, and User how the owner is called there. They are kept
	// sealed until the flow has ended.
	Page, User string
	// Then is the address of an app that gets the browser back, with a handle, see
	// [Store.IssueHandle]: that browser need not have the owner. Empty: the flow
	// ends in it. Only with a ticket of [FlowRedirect].
	Then string
	// Scopes are those that were asked for, ReturnURL is where the browser was to
	// come back to, Verifier the random value for PKCE, set by PrepareFlow, and
	// Secret the provider's own. They are kept sealed until the flow has ended, for
	// whoever redeems; not with [FlowCallback].
	Scopes           []string
	ReturnURL        string
	Verifier, Secret delegation.Secret
	// Lifetime is how long the owner may take to consent. Default: an hour.
	Lifetime time.Duration
	// Ends is when the grant ends by itself; zero if that is not known. Not with
	// [FlowCallback].
	Ends time.Time
	// AnyBrowser lets any browser in which the owner is signed in complete the
	// flow, not just the one that began it: for a code that a phone reads, or a
	// link in a letter. Another person who opens that first connects their own
	// account at the platform, if they can get the owner to open the address that
	// the flow ends at.
	AnyBrowser bool

	// BrowserToken is for the browser's cookie. That of another flow may be given,
	// so that both can be completed; otherwise PrepareFlow makes one. Empty with
	// AnyBrowser.
	BrowserToken delegation.Secret
	// CorrelationID is for the platform, which gives it back with the result, or is
	// the ticket; StateToken is for the address that the browser comes back to. Both
	// are random and set by PrepareFlow.
	CorrelationID, StateToken delegation.Secret
	// Expires is when it is too late to consent, by this machine's clock. Set by
	// PrepareFlow.
	Expires time.Time
}

// PendingResult is the outcome of a consent as the platform hands it over, before
// it counts.
type PendingResult struct {
	// Account is the person at the platform who has consented, Label how the
	// account is shown to its owner; may be empty.
	Account, Label string
	// Scopes are those that were granted; nil if the platform does not say.
	Scopes []string
	// Vendor and Client are those of [ConsentsOptions] of who has redeemed.
	Vendor, Client string
	// Secret is the value that the provider keeps, such as a credential.
	Secret delegation.Secret
	// Tokens are those of OAuth; may be zero.
	Tokens delegation.GrantTokens
	// Reply is what the page is told that has posted the one-time token, and again
	// if it posts it again. It holds no secret.
	Reply map[string]string
}

const (
	// The states of a flow, as the database has them: begun; claimed by who redeems
	// what the browser has brought; handed over by the platform; handed over, of another
	// account than the owner's, who has to decide; completed, or found out to lead to
	// nothing.
	flowOpen      = "open"
	flowRedeeming = "redeeming"
	flowStaged    = "staged"
	flowConfirm   = "confirm"
	flowDone      = "done"
)

// tokenPseudonym names a token of a flow in the database: the state of an address
// or a browser's token cannot be read there. use is link, back or browser, after
// the columns. tokenPseudonyms are those by all keys of the keyset.
func (s *Store) tokenPseudonym(use, value string) string { return s.keys.Name("journey "+use, value) }

func (s *Store) tokenPseudonyms(use, value string) []string {
	return s.keys.Names("journey "+use, value)
}

// PrepareFlow sets a flow's tokens, its verifier and Expires, in memory: the
// platform is asked first, and the flow written when it has answered.
func PrepareFlow(flow *Flow) {
	flow.Mode = cmp.Or(flow.Mode, FlowCallback)
	if flow.Lifetime <= 0 {
		flow.Lifetime = flowLifetime
	}
	flow.AnyBrowser = flow.AnyBrowser || flow.Ticket
	flow.CorrelationID, flow.StateToken = delegation.NewSecret(rand.Text()), delegation.NewSecret(rand.Text())
	flow.Verifier = delegation.NewSecret(rand.Text() + rand.Text()) // at least 43 characters, RFC 7636 section 4.1
	flow.Expires = time.Now().Add(flow.Lifetime)
	switch {
	case flow.AnyBrowser:
		flow.BrowserToken = delegation.Secret{}
	case len(flow.BrowserToken.Reveal()) != len(rand.Text()):
		flow.BrowserToken = delegation.NewSecret(rand.Text())
	}
}

// Begin writes a flow, prepared by [PrepareFlow]; one that is not is prepared here.
// It ends by the database's clock, one lifetime after it was written. The error is
// [ErrNotFound] for an update without a grant in use, [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) Begin(ctx context.Context, flow *Flow) error {
	if flow.StateToken.Reveal() == "" {
		PrepareFlow(flow)
	}
	browser := ""
	if !flow.AnyBrowser {
		browser = s.tokenPseudonym("browser", flow.BrowserToken.Reveal())
	}
	// Not in turn: no other row has these tokens, and who begins two flows at once may
	// have one more of them than there are to be.
	return s.writeRow(ctx, "beginning a consent flow", func(ctx context.Context, tx querier) error {
		if flow.Kind == FlowUpdate {
			if _, err := s.byOwner(ctx, tx, flow.Owner); err != nil {
				return err
			}
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.limitOpenFlows(ctx, tx, flow.Owner); err != nil {
			return err
		}
		f := &storedFlow{
			id: newID(), provider: flow.Provider, source: flow.Source, browser: browser, owner: flow.Owner, kind: flow.Kind,
			link: s.tokenPseudonym("link", flow.CorrelationID.Reveal()), back: s.tokenPseudonym("back", flow.StateToken.Reveal()),
			state: flowOpen, mode: flow.Mode, ticket: flow.Ticket, then: flow.Then, secret: newStoredSecret(flow),
			created: now, expires: now.Add(flow.Lifetime),
		}
		return s.insertFlow(ctx, tx, f)
	})
}

// limitOpenFlows deletes, of an owner who has maxOpenFlows, those that expire first.
// The flows of a page's widget give way before all others: a page begins one with
// each click, and the next one will do as well, while a ticket or a letter has been
// given out. One that is claimed meanwhile stays.
func (s *Store) limitOpenFlows(ctx context.Context, tx querier, o Owner) error {
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE state = 'open' AND id IN (SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'open' AND person IN ", s.ownerPseudonyms(o), " ORDER BY CASE WHEN mode = 'page' AND browser <> '' THEN 1 ELSE 0 END, expires DESC LIMIT 1000000 OFFSET ", maxOpenFlows-1, ")")
}

// deleteExpiredFlows deletes the flows that no browser can complete any more, and
// the tokens that no platform takes any more.
func (s *Store) deleteExpiredFlows(ctx context.Context, tx querier, now time.Time) error {
	if _, err := s.exec(ctx, tx, "DELETE FROM redeemed WHERE expires < ", millis(now), ""); err != nil {
		return err
	}
	of := []any{" FROM journeys WHERE expires < ", millis(now.Add(-returnGrace)), ""}
	unused, err := s.stagedResults(ctx, tx, of)
	if err != nil {
		return err
	}
	for _, g := range unused { // nobody has come for it, and nobody could end it any more
		if err := s.queueRevocation(ctx, tx, g); err != nil {
			return err
		}
	}
	return s.deleteRows(ctx, tx, append([]any{"DELETE" + of[0].(string)}, of[1:]...)...)
}

// Stage keeps a result that the platform hands over, for the flow with the
// correlation ID that it was given. Nothing counts before [Store.Complete]. The
// same result again is taken and changes nothing. The error is [ErrNotFound] for
// another result of the same flow, for a flow that does not exist, and for one that
// has expired; [ErrDamaged] or [ErrUnavailable].
func (s *Store) Stage(ctx context.Context, provider, source, correlationID string, result PendingResult) error {
	const operation = "keeping the result of a consent flow"
	ctx = delegation.Detach(ctx)
	// A callback without a flow, or one that comes twice, does not have writers
	// wait.
	var f *storedFlow
	action := consent.Gone
	judge := func(ctx context.Context, db querier) (err error) {
		f, action, err = s.stageable(ctx, db, provider, source, correlationID, result)
		return err
	}
	if err := s.read(ctx, operation, judge); err != nil || action != consent.Stage {
		return err
	}
	return s.write(ctx, operation, func(ctx context.Context, tx querier) error {
		err := judge(ctx, tx)
		if err != nil || action != consent.Stage {
			return err
		}
		f.state, f.result = flowStaged, newStoredResult(result)
		if f.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
			return err
		}
		return s.replaceFlow(ctx, tx, f)
	})
}

// stageable returns the flow that the platform's server has called for, and what is
// done to it.
func (s *Store) stageable(ctx context.Context, db querier, provider, source, correlationID string, result PendingResult) (*storedFlow, consent.Action, error) {
	f, err := s.flowByToken(ctx, db, provider, source, "link", correlationID)
	if err != nil {
		return nil, 0, err
	}
	now, err := s.now(ctx, db)
	event := consent.Called
	switch {
	case f.result.Sequence == 0:
	case f.result.equals(result):
		event = consent.CalledAgain
	default:
		event = consent.CalledOtherwise
	}
	action := f.next(now, event)
	if err == nil && action == consent.Gone {
		err = ErrNotFound
	}
	return f, action, err
}
