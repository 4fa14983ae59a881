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
	open   = "open"
	staged = "staged"
	done   = "done"
)

func (s *Store) token(use, value string) string    { return s.keys.Name("journey "+use, value) }
func (s *Store) tokens(use, value string) []string { return s.keys.Names("journey "+use, value) }

// Begin notes a journey and sets its tokens. The error is [ErrNone] for an
// update of what is not connected, or [ErrUnavailable].
func (s *Store) Begin(ctx context.Context, j *Journey) error {
	if j.Life <= 0 {
		j.Life = journeyLife
	}
	now := time.Now()
	j.Link, j.Back = delegation.NewSecret(rand.Text()), delegation.NewSecret(rand.Text())
	j.Expires = now.Add(j.Life)
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
		if err := s.makeRoom(ctx, tx, j.Owner, now); err != nil {
			return err
		}
		r := &record{
			id: newID(), provider: j.Provider, source: j.Source, browser: browser,
			link: s.token("link", j.Link.Reveal()), back: s.token("back", j.Back.Reveal()),
		}
		owner, err := s.sealJSON(identityOf(j.Owner, j.Kind), r.ownerPlace()...)
		if err != nil {
			return err
		}
		_, err = s.run(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, owner, staged, sealed_by, created, expires) VALUES (",
			r.id, ", ", r.provider, ", ", r.source, ", ", s.person(j.Owner), ", ", r.link, ", ", r.back, ", ",
			r.browser, ", ", open, ", ", owner, ", ", []byte{}, ", ", s.keyName(), ", ", millis(now), ", ", millis(j.Expires), ")")
		return err
	})
}

// Abandon ends a journey that the platform does not know of, so that nobody
// waits for it.
func (s *Store) Abandon(ctx context.Context, j *Journey) error {
	return s.alone(ctx, "giving a journey up", func(ctx context.Context, db doer) error {
		_, err := s.run(ctx, db, "DELETE FROM journeys WHERE state = 'open' AND link = ", s.token("link", j.Link.Reveal()), "")
		return err
	})
}

// makeRoom drops what is long over, and of somebody who has too many open ones
// those that are over, or will be, the soonest.
func (s *Store) makeRoom(ctx context.Context, tx doer, o Owner, now time.Time) error {
	if _, err := s.run(ctx, tx, "DELETE FROM journeys WHERE expires < ", millis(now.Add(-kept)), ""); err != nil {
		return err
	}
	_, err := s.run(ctx, tx, "DELETE FROM journeys WHERE id IN (SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state = 'open' AND person IN ", s.persons(o), " ORDER BY expires DESC LIMIT 1000000 OFFSET ", maxOpen-1, ")")
	return err
}

// record is a journey as the database has it.
type record struct {
	id, provider, source string
	link, back, browser  string // as the database names them
	state                string
	owner                Owner
	kind                 Kind
	staged               []byte
	expires              time.Time
}

func (s *Store) journey(ctx context.Context, db doer, provider, source, column, token string) (*record, error) {
	r := new(record)
	var sealed []byte
	var expires int64
	err := s.row(ctx, db, func(row scanner) error {
		return row.Scan(&r.id, &r.provider, &r.source, &r.link, &r.back, &r.browser, &r.state, &sealed, &r.staged, &expires)
	}, "SELECT id, provider, source, link, back, browser, state, owner, staged, expires FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND "+column+" IN ", s.tokens(column, token), "")
	if err != nil {
		return nil, err
	}
	r.expires = time.UnixMilli(expires)
	var who identity
	if err := s.openJSON(sealed, &who, r.ownerPlace()...); err != nil {
		return nil, err
	}
	r.kind = who.Kind
	r.owner = who.owner(provider, source)
	return r, nil
}

// late tells whether it is too late to end a journey. What the platform has
// told waits for longer: it may be unable to tell a second time.
func (r *record) late(now time.Time) bool {
	switch {
	case r.state == open:
		return now.After(r.expires)
	case r.state == staged && r.browser == "":
		return now.After(r.expires.Add(keptAny))
	case r.state == staged:
		return now.After(r.expires.Add(kept))
	default:
		return false
	}
}

// ownerPlace has the tokens in it: a row whose tokens somebody has exchanged for
// ones they know does not open.
func (r *record) ownerPlace() []string {
	return []string{"owner of journey", r.provider, r.source, r.id, r.link, r.back, r.browser}
}

func (r *record) place() []string { return []string{"staged of journey", r.provider, r.source, r.id} }

// said is what was staged.
type said struct {
	Account string `json:"account"`
	Secret  []byte `json:"secret"` // bytes, because JSON mends what is not UTF-8
	At      int64  `json:"at"`     // when, in nanoseconds since 1970
}

func (s *Store) said(r *record) (told said, err error) {
	return told, s.openJSON(r.staged, &told, r.place()...)
}

func (t said) staged() Staged {
	return Staged{Account: t.Account, Secret: delegation.NewSecret(string(t.Secret))}
}

// Stage notes what the platform says that somebody has consented to, by the
// link that it was given. Nothing counts before [Store.Activate]. The same
// word again is taken, and changes nothing; another word for the same journey,
// or one for a journey that there is not or that has expired, is [ErrNone].
func (s *Store) Stage(ctx context.Context, provider, source, link string, what Staged) error {
	// Not in turn with other writers: it changes one row, if that is open.
	return s.alone(ctx, "noting what was consented to", func(ctx context.Context, db doer) error {
		r, err := s.journey(ctx, db, provider, source, "link", link)
		if err != nil {
			return err
		}
		if r.state == open {
			if r.late(time.Now()) {
				return ErrNone
			}
			sealed, err := s.sealJSON(said{what.Account, []byte(what.Secret.Reveal()), time.Now().UnixNano()}, r.place()...)
			if err != nil {
				return err
			}
			// All of a row is sealed by one key, or Reseal would leave some of it.
			owner, err := s.sealJSON(identityOf(r.owner, r.kind), r.ownerPlace()...)
			if err != nil {
				return err
			}
			n, err := s.run(ctx, db, "UPDATE journeys SET state = 'staged', staged = ", sealed, ", person = ", s.person(r.owner), ", owner = ", owner,
				", sealed_by = ", s.keyName(), " WHERE state = 'open' AND id = ", r.id, "")
			if err != nil || n == 1 {
				return err
			}
			// Somebody else was told at the same time.
			if r, err = s.journey(ctx, db, provider, source, "link", link); err != nil {
				return err
			}
		}
		before, err := s.said(r)
		if err != nil {
			return err
		}
		if before.Account != what.Account || !before.staged().Secret.Equal(what.Secret) {
			return ErrNone
		}
		return nil
	})
}
