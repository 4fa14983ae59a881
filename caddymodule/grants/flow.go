// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"time"

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
	// browser. The owner has to sign in by then.
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

// Flow is a person's way to a grant: from [Store.Begin] over the platform's consent
// page and its callback ([Store.Stage]) to the browser's return ([Store.Complete]).
type Flow struct {
	Owner
	// Kind is the purpose of the flow.
	Kind FlowKind
	// Lifetime is how long the owner may take to consent. Default: an hour.
	Lifetime time.Duration
	// AnyBrowser lets any browser in which the owner is signed in complete the
	// flow, not just the one that began it: for a code that a phone reads, or a
	// link in a letter. Another person who opens that first connects their own
	// account at the platform, if they can get the owner to open the address that
	// the flow ends at.
	AnyBrowser bool

	// BrowserToken is for the browser's cookie. That of another flow may be given,
	// so that both can be completed; otherwise Begin makes one. Empty with
	// AnyBrowser.
	BrowserToken delegation.Secret
	// CorrelationID is for the platform, which gives it back with the result;
	// StateToken is for the address that the browser comes back to. Both are random
	// and set by Begin.
	CorrelationID, StateToken delegation.Secret
	// Expires is when it is too late to consent. Set by Begin.
	Expires time.Time
}

// PendingResult is the outcome of a consent as the platform hands it over, before
// it counts.
type PendingResult struct {
	// Account is the person at the platform who has consented.
	Account string
	// Secret is the value that the provider keeps, such as a credential.
	Secret delegation.Secret
}

const (
	// The states of a flow, as the database has them: begun; handed over by the
	// platform; completed, or found out to lead to nothing.
	flowOpen   = "open"
	flowStaged = "staged"
	flowDone   = "done"
)

// tokenPseudonym names a token of a flow in the database: the state of an address
// or a browser's token cannot be read there. use is link, back or browser, after
// the columns. tokenPseudonyms are those by all keys of the keyset.
func (s *Store) tokenPseudonym(use, value string) string { return s.keys.Name("journey "+use, value) }

func (s *Store) tokenPseudonyms(use, value string) []string {
	return s.keys.Names("journey "+use, value)
}

// Begin notes a flow, and sets its tokens and Expires. The error is [ErrNotFound]
// for an update without a grant in use, [ErrDamaged] or [ErrUnavailable].
func (s *Store) Begin(ctx context.Context, flow *Flow) error {
	if flow.Lifetime <= 0 {
		flow.Lifetime = flowLifetime
	}
	flow.CorrelationID, flow.StateToken = delegation.NewSecret(rand.Text()), delegation.NewSecret(rand.Text())
	flow.Expires = time.Now().Add(flow.Lifetime)
	browser := ""
	if flow.AnyBrowser {
		flow.BrowserToken = delegation.Secret{}
	} else {
		if len(flow.BrowserToken.Reveal()) != len(rand.Text()) {
			flow.BrowserToken = delegation.NewSecret(rand.Text())
		}
		browser = s.tokenPseudonym("browser", flow.BrowserToken.Reveal())
	}
	return s.write(ctx, "beginning a consent flow", func(ctx context.Context, tx querier) error {
		if flow.Kind == FlowUpdate {
			if _, err := s.byOwner(ctx, tx, flow.Owner); err != nil {
				return err
			}
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.limitOpenFlows(ctx, tx, flow.Owner, now); err != nil {
			return err
		}
		f := &storedFlow{
			id: newID(), provider: flow.Provider, source: flow.Source, browser: browser, owner: flow.Owner, kind: flow.Kind,
			link: s.tokenPseudonym("link", flow.CorrelationID.Reveal()), back: s.tokenPseudonym("back", flow.StateToken.Reveal()),
		}
		owner, staged, err := s.sealFlow(ctx, tx, f)
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, owner, staged, row_key, sealed_by, created, expires) VALUES (",
			f.id, ", ", f.provider, ", ", f.source, ", ", s.ownerPseudonym(flow.Owner), ", ", f.link, ", ", f.back, ", ",
			f.browser, ", ", flowOpen, ", ", owner, ", ", staged, ", ", f.rowKey, ", ", s.primaryKeyName(), ", ", millis(now), ", ", millis(now.Add(flow.Lifetime)), ")")
		return err
	})
}

// Abandon deletes an open flow that the platform does not know of, so that its
// owner does not count as pending. The error is [ErrUnavailable].
func (s *Store) Abandon(ctx context.Context, flow *Flow) error {
	return s.write(ctx, "abandoning a consent flow", func(ctx context.Context, tx querier) error {
		return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE state = 'open' AND link = ", s.tokenPseudonym("link", flow.CorrelationID.Reveal()), "")
	})
}

// limitOpenFlows deletes expired flows, and of an owner who has maxOpenFlows those
// that expire first.
func (s *Store) limitOpenFlows(ctx context.Context, tx querier, o Owner, now time.Time) error {
	if err := s.deleteExpiredFlows(ctx, tx, now); err != nil {
		return err
	}
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id IN (SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'open' AND person IN ", s.ownerPseudonyms(o), " ORDER BY expires DESC LIMIT 1000000 OFFSET ", maxOpenFlows-1, ")")
}

// deleteExpiredFlows deletes the flows that no browser can complete any more.
func (s *Store) deleteExpiredFlows(ctx context.Context, tx querier, now time.Time) error {
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE expires < ", millis(now.Add(-returnGrace)), "")
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
	if err := s.read(ctx, operation, func(ctx context.Context, db querier) (err error) {
		f, err = s.stageable(ctx, db, provider, source, correlationID, result)
		return err
	}); err != nil || f.state != flowOpen {
		return err
	}
	return s.write(ctx, operation, func(ctx context.Context, tx querier) error {
		f, err := s.stageable(ctx, tx, provider, source, correlationID, result)
		if err != nil || f.state != flowOpen {
			return err
		}
		f.state, f.result = flowStaged, storedResult{Account: result.Account, Secret: []byte(result.Secret.Reveal())}
		if f.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
			return err
		}
		return s.replaceFlow(ctx, tx, f)
	})
}

// stageable returns the flow that a result is for: an open one, or one that has the
// same result already.
func (s *Store) stageable(ctx context.Context, db querier, provider, source, correlationID string, result PendingResult) (*storedFlow, error) {
	f, err := s.flowByToken(ctx, db, provider, source, "link", correlationID)
	if err != nil {
		return nil, err
	}
	if f.state != flowOpen {
		if !f.result.equals(result) {
			return nil, ErrNotFound
		}
		return f, nil
	}
	now, err := s.now(ctx, db)
	if err == nil && f.expired(now) {
		err = ErrNotFound
	}
	return f, err
}
