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
	// journeyLife is how long a journey may take, unless it says otherwise.
	journeyLife = time.Hour

	// kept is how long one is remembered after that: what was consented to waits
	// for the browser to come back, and what comes twice is told from what was
	// never begun.
	kept = 7 * 24 * time.Hour

	// keptAny is the same for a journey that may end in any browser. The owner
	// has to sign in there by then.
	keptAny = time.Hour

	// maxOpen is how many journeys somebody may have under way. The oldest give
	// way: a page that is opened again and again begins one each time.
	maxOpen = 10
)

// Kind is what a journey is for.
type Kind string

// The kinds of journeys.
const (
	// Connect is the first consent, or one with another account.
	Connect Kind = "connect"
	// Update is consent to something more, for the account that is connected.
	Update Kind = "update"
)

// Journey is somebody's way to consent.
type Journey struct {
	Owner
	Kind Kind
	// Life is how long it may take. Default: an hour.
	Life time.Duration
	// AnyBrowser has it end in any browser in which the owner is signed in, not
	// just where it began: for a code that a phone reads, or a link in a letter.
	// Whoever opens that first connects their own account at the platform, if
	// they can get the owner to open the address that it ends at.
	AnyBrowser bool

	// Browser is what the browser keeps. One that it has from another journey
	// may be given, so that both can be ended; otherwise Begin sets it. Empty
	// with AnyBrowser.
	Browser delegation.Secret
	// Set by Begin: random, to be handed to the platform (Link), and put into
	// the address that the browser is to come back to (Back).
	Link, Back delegation.Secret
	// Expires is when it is too late. Set by Begin.
	Expires time.Time
}

// Staged is what the platform says has been consented to.
type Staged struct {
	// Account is the person at the platform.
	Account string
	// Secret is what the provider is to keep.
	Secret delegation.Secret
}

// The errors of journeys, besides those of grants.
var (
	// ErrPending says that the platform has not told yet what was consented to.
	ErrPending = errors.New("grants: the platform has not answered yet")
	// ErrOther says that another browser or person has begun the journey.
	ErrOther = errors.New("grants: the journey was begun elsewhere")
	// ErrRefused says that the platform does not accept what it has told.
	ErrRefused = errors.New("grants: the platform does not accept what it has told")
	// ErrConnected says that somebody is connected with another account, which a
	// journey that may end in any browser does not replace: the account may be
	// that of whoever read the code.
	ErrConnected = errors.New("grants: another account is connected, which a journey from another device does not replace")
)

const (
	stateOpen   = "open"
	stateStaged = "staged"
	stateDone   = "done"
)

func (s *Store) token(use, value string) string    { return s.keys.Name("journey "+use, value) }
func (s *Store) tokens(use, value string) []string { return s.keys.Names("journey "+use, value) }

// Begin notes a journey and sets its tokens. The error is [ErrNone] for an
// update of what is not connected, or [ErrUnavailable].
func (s *Store) Begin(ctx context.Context, j *Journey) error {
	if j.Life <= 0 {
		j.Life = journeyLife
	}
	j.Link, j.Back = delegation.NewSecret(rand.Text()), delegation.NewSecret(rand.Text())
	j.Expires = time.Now().Add(j.Life)
	browser := ""
	if j.AnyBrowser {
		j.Browser = delegation.Secret{}
	} else {
		if len(j.Browser.Reveal()) != len(rand.Text()) {
			j.Browser = delegation.NewSecret(rand.Text())
		}
		browser = s.token("browser", j.Browser.Reveal())
	}
	return s.write(ctx, "beginning a journey", func(ctx context.Context, tx doer) error {
		if j.Kind == Update {
			if _, err := s.held(ctx, tx, j.Owner); err != nil {
				return err
			}
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.makeRoom(ctx, tx, j.Owner, now); err != nil {
			return err
		}
		r := &record{
			id: newID(), provider: j.Provider, source: j.Source, browser: browser, owner: j.Owner, kind: j.Kind,
			link: s.token("link", j.Link.Reveal()), back: s.token("back", j.Back.Reveal()),
		}
		owner, staged, err := s.sealJourney(ctx, tx, r)
		if err != nil {
			return err
		}
		_, err = s.run(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, owner, staged, row_key, sealed_by, created, expires) VALUES (",
			r.id, ", ", r.provider, ", ", r.source, ", ", s.person(j.Owner), ", ", r.link, ", ", r.back, ", ",
			r.browser, ", ", stateOpen, ", ", owner, ", ", staged, ", ", r.rowKey, ", ", s.keyName(), ", ", millis(now), ", ", millis(now.Add(j.Life)), ")")
		return err
	})
}

// Abandon ends a journey that the platform does not know of, so that nobody
// waits for it.
func (s *Store) Abandon(ctx context.Context, j *Journey) error {
	return s.write(ctx, "giving a journey up", func(ctx context.Context, tx doer) error {
		return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE state = 'open' AND link = ", s.token("link", j.Link.Reveal()), "")
	})
}

// makeRoom drops what is long over, and of somebody who has too many open ones
// those that are over, or will be, the soonest.
func (s *Store) makeRoom(ctx context.Context, tx doer, o Owner, now time.Time) error {
	if err := s.dropOld(ctx, tx, now); err != nil {
		return err
	}
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id IN (SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'open' AND person IN ", s.persons(o), " ORDER BY expires DESC LIMIT 1000000 OFFSET ", maxOpen-1, ")")
}

// dropOld drops what is long over.
func (s *Store) dropOld(ctx context.Context, tx doer, now time.Time) error {
	return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE expires < ", millis(now.Add(-kept)), "")
}

// Stage notes what the platform says that somebody has consented to, by the
// link that it was given. Nothing counts before [Store.Activate]. The same
// word again is taken, and changes nothing; another word for the same journey,
// or one for a journey that there is not or that has expired, is [ErrNone].
func (s *Store) Stage(ctx context.Context, provider, source, link string, what Staged) error {
	const doing = "noting what was consented to"
	ctx = delegation.Detach(ctx)
	// Who knows no link, or tells a second time, does not have writers wait.
	var r *record
	if err := s.read(ctx, doing, func(ctx context.Context, db doer) (err error) {
		r, err = s.stageable(ctx, db, provider, source, link, what)
		return err
	}); err != nil || r.state != stateOpen {
		return err
	}
	return s.write(ctx, doing, func(ctx context.Context, tx doer) error {
		r, err := s.stageable(ctx, tx, provider, source, link, what)
		if err != nil || r.state != stateOpen {
			return err
		}
		r.state, r.told = stateStaged, said{Account: what.Account, Secret: []byte(what.Secret.Reveal())}
		if r.told.At, err = s.next(ctx, tx); err != nil {
			return err
		}
		return s.replaceJourney(ctx, tx, r)
	})
}

// stageable is the journey that a platform's word is for: open, or one for which
// it has told the same before.
func (s *Store) stageable(ctx context.Context, db doer, provider, source, link string, what Staged) (*record, error) {
	r, err := s.journey(ctx, db, provider, source, "link", link)
	if err != nil {
		return nil, err
	}
	if r.state != stateOpen {
		if !r.told.is(what) {
			return nil, ErrNone
		}
		return r, nil
	}
	now, err := s.now(ctx, db)
	if err == nil && r.late(now) {
		err = ErrNone
	}
	return r, err
}
