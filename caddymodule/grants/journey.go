// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// flowLifetime is how long a journey may take, unless it says otherwise.
	flowLifetime = time.Hour

	// returnGrace is how long one is remembered after that: what was consented to waits
	// for the browser to come back, and what comes twice is told from what was
	// never begun.
	returnGrace = 7 * 24 * time.Hour

	// returnGraceAnyBrowser is the same for a journey that may end in any browser. The owner
	// has to sign in there by then.
	returnGraceAnyBrowser = time.Hour

	// maxOpenFlows is how many journeys somebody may have under way. The oldest give
	// way: a page that is opened again and again begins one each time.
	maxOpenFlows = 10
)

// FlowKind is what a journey is for.
type FlowKind string

// The kinds of journeys.
const (
	// FlowConnect is the first consent, or one with another account.
	FlowConnect FlowKind = "connect"
	// FlowUpdate is consent to something more, for the account that is connected.
	FlowUpdate FlowKind = "update"
)

// Flow is somebody's way to consent.
type Flow struct {
	Owner
	Kind FlowKind
	// Lifetime is how long it may take. Default: an hour.
	Lifetime time.Duration
	// AnyBrowser has it end in any browser in which the owner is signed in, not
	// just where it began: for a code that a phone reads, or a link in a letter.
	// Whoever opens that first connects their own account at the platform, if
	// they can get the owner to open the address that it ends at.
	AnyBrowser bool

	// BrowserToken is what the browser keeps. One that it has from another journey
	// may be given, so that both can be ended; otherwise Begin sets it. Empty
	// with AnyBrowser.
	BrowserToken delegation.Secret
	// Set by Begin: random, to be handed to the platform (Link), and put into
	// the address that the browser is to come back to (Back).
	CorrelationID, StateToken delegation.Secret
	// Expires is when it is too late. Set by Begin.
	Expires time.Time
}

// PendingResult is what the platform says has been consented to.
type PendingResult struct {
	// Account is the person at the platform.
	Account string
	// Secret is what the provider is to keep.
	Secret delegation.Secret
}

// The errors of journeys, besides those of grants.
var (
	// ErrPending says that the platform has not told yet what was consented to.
	ErrPending = errors.New("grants: the platform has not answered yet")
	// ErrForeignFlow says that another browser or person has begun the journey.
	ErrForeignFlow = errors.New("grants: the journey was begun elsewhere")
	// ErrProbeRefused says that the platform does not accept what it has told.
	ErrProbeRefused = errors.New("grants: the platform does not accept what it has told")
	// ErrOtherAccount says that somebody is connected with another account, which a
	// journey that may end in any browser does not replace: the account may be
	// that of whoever read the code.
	ErrOtherAccount = errors.New("grants: another account is connected, which a journey from another device does not replace")
)

const (
	flowOpen   = "open"
	flowStaged = "staged"
	flowDone   = "done"
)

func (s *Store) tokenPseudonym(use, value string) string { return s.keys.Name("journey "+use, value) }
func (s *Store) tokenPseudonyms(use, value string) []string {
	return s.keys.Names("journey "+use, value)
}

// Begin notes a journey and sets its tokens. The error is [ErrNone] for an
// update of what is not connected, or [ErrUnavailable].
func (s *Store) Begin(ctx context.Context, j *Flow) error {
	if j.Lifetime <= 0 {
		j.Lifetime = flowLifetime
	}
	j.CorrelationID, j.StateToken = delegation.NewSecret(rand.Text()), delegation.NewSecret(rand.Text())
	j.Expires = time.Now().Add(j.Lifetime)
	browser := ""
	if j.AnyBrowser {
		j.BrowserToken = delegation.Secret{}
	} else {
		if len(j.BrowserToken.Reveal()) != len(rand.Text()) {
			j.BrowserToken = delegation.NewSecret(rand.Text())
		}
		browser = s.tokenPseudonym("browser", j.BrowserToken.Reveal())
	}
	return s.write(ctx, "beginning a journey", func(ctx context.Context, tx querier) error {
		if j.Kind == FlowUpdate {
			if _, err := s.byOwner(ctx, tx, j.Owner); err != nil {
				return err
			}
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.limitOpenFlows(ctx, tx, j.Owner, now); err != nil {
			return err
		}
		r := &storedFlow{
			id: newID(), provider: j.Provider, source: j.Source, browser: browser, owner: j.Owner, kind: j.Kind,
			link: s.tokenPseudonym("link", j.CorrelationID.Reveal()), back: s.tokenPseudonym("back", j.StateToken.Reveal()),
		}
		owner, staged, err := s.sealFlow(ctx, tx, r)
		if err != nil {
			return err
		}
		_, err = s.exec(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, owner, staged, row_key, sealed_by, created, expires) VALUES (",
			r.id, ", ", r.provider, ", ", r.source, ", ", s.ownerPseudonym(j.Owner), ", ", r.link, ", ", r.back, ", ",
			r.browser, ", ", flowOpen, ", ", owner, ", ", staged, ", ", r.rowKey, ", ", s.primaryKeyName(), ", ", millis(now), ", ", millis(now.Add(j.Lifetime)), ")")
		return err
	})
}

// Abandon ends a journey that the platform does not know of, so that nobody
// waits for it.
func (s *Store) Abandon(ctx context.Context, j *Flow) error {
	return s.write(ctx, "giving a journey up", func(ctx context.Context, tx querier) error {
		return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE state = 'open' AND link = ", s.tokenPseudonym("link", j.CorrelationID.Reveal()), "")
	})
}

// limitOpenFlows drops what is long over, and of somebody who has too many open ones
// those that are over, or will be, the soonest.
func (s *Store) limitOpenFlows(ctx context.Context, tx querier, o Owner, now time.Time) error {
	if err := s.deleteExpiredFlows(ctx, tx, now); err != nil {
		return err
	}
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id IN (SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'open' AND person IN ", s.ownerPseudonyms(o), " ORDER BY expires DESC LIMIT 1000000 OFFSET ", maxOpenFlows-1, ")")
}

// deleteExpiredFlows drops what is long over.
func (s *Store) deleteExpiredFlows(ctx context.Context, tx querier, now time.Time) error {
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE expires < ", millis(now.Add(-returnGrace)), "")
}

// Stage notes what the platform says that somebody has consented to, by the
// link that it was given. Nothing counts before [Store.Activate]. The same
// word again is taken, and changes nothing; another word for the same journey,
// or one for a journey that there is not or that has expired, is [ErrNone].
func (s *Store) Stage(ctx context.Context, provider, source, link string, what PendingResult) error {
	const doing = "noting what was consented to"
	ctx = delegation.Detach(ctx)
	// Who knows no link, or tells a second time, does not have writers wait.
	var r *storedFlow
	if err := s.read(ctx, doing, func(ctx context.Context, db querier) (err error) {
		r, err = s.stageable(ctx, db, provider, source, link, what)
		return err
	}); err != nil || r.state != flowOpen {
		return err
	}
	return s.write(ctx, doing, func(ctx context.Context, tx querier) error {
		r, err := s.stageable(ctx, tx, provider, source, link, what)
		if err != nil || r.state != flowOpen {
			return err
		}
		r.state, r.result = flowStaged, storedResult{Account: what.Account, Secret: []byte(what.Secret.Reveal())}
		if r.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
			return err
		}
		return s.replaceFlow(ctx, tx, r)
	})
}

// stageable is the journey that a platform's word is for: open, or one for which
// it has told the same before.
func (s *Store) stageable(ctx context.Context, db querier, provider, source, link string, what PendingResult) (*storedFlow, error) {
	r, err := s.flowByToken(ctx, db, provider, source, "link", link)
	if err != nil {
		return nil, err
	}
	if r.state != flowOpen {
		if !r.result.equals(what) {
			return nil, ErrNotFound
		}
		return r, nil
	}
	now, err := s.now(ctx, db)
	if err == nil && r.expired(now) {
		err = ErrNotFound
	}
	return r, err
}
