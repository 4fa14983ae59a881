// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// storedFlow is a consent flow as the database has it.
type storedFlow struct {
	id, provider, source string
	link, back, browser  string // pseudonyms of the correlation ID, the state and the browser token
	state, rowKey        string
	mode                 FlowMode
	owner                Owner
	kind                 FlowKind
	ticket               bool
	then                 string // see [Flow.Then]
	claimID              string // who redeems; empty if nobody has claimed it
	claimUntil           time.Time
	secret               storedSecret // empty when the flow has ended
	result               storedResult // empty while the flow is open
	created, expires     time.Time
	judged               time.Time // when [storedFlow.next] was asked last, by the database's clock
	read                 flowMark  // as it was read
}

// flowMark is what others change of a flow: a claim, outside of the writers' turn,
// and the browser that opens a ticket. Who writes a flow says of which it was read.
type flowMark struct{ state, claimID, link, browser string }

const flowColumns = "id, provider, source, link, back, browser, state, mode, owner, staged, secret, claim_id, claim_until, row_key, created, expires"

// sealedFlow are the columns of a flow that its row key seals.
type sealedFlow struct{ owner, staged, secret []byte }

// flowByToken returns the flow with a token. column is link, back or browser.
func (s *Store) flowByToken(ctx context.Context, db querier, provider, source, column, token string) (*storedFlow, error) {
	return s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND "+column+" IN ", s.tokenPseudonyms(column, token), "")
}

// flowByID returns a flow by its row's id.
func (s *Store) flowByID(ctx context.Context, db querier, provider, source, id string) (*storedFlow, error) {
	return s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", provider, " AND source = ", source, " AND id = ", id, "")
}

// queryFlow reads one flow and opens it.
func (s *Store) queryFlow(ctx context.Context, db querier, pieces ...any) (*storedFlow, error) {
	// A row's key is gone if the row was replaced after it was read.
	for range maxRereads {
		f := new(storedFlow)
		var sealed sealedFlow
		var claimUntil, created, expires int64
		if err := s.queryRow(ctx, db, func(row scanner) error {
			return row.Scan(&f.id, &f.provider, &f.source, &f.link, &f.back, &f.browser, &f.state, &f.mode, &sealed.owner, &sealed.staged, &sealed.secret,
				&f.claimID, &claimUntil, &f.rowKey, &created, &expires)
		}, pieces...); err != nil {
			return nil, err
		}
		f.read = flowMark{f.state, f.claimID, f.link, f.browser}
		f.claimUntil, f.created, f.expires = optionalTime(claimUntil), time.UnixMilli(created), time.UnixMilli(expires)
		k, err := s.rowKey(ctx, db, f.rowKey)
		if errors.Is(err, errNoRowKey) {
			continue
		}
		if err == nil {
			err = f.unseal(k, sealed)
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	return nil, ErrDamaged
}

// unseal opens the sealed columns of a flow.
func (f *storedFlow) unseal(k *rowKey, sealed sealedFlow) error {
	var who sealedOwner
	if err := k.openJSON(sealed.owner, &who, f.ownerAAD()...); err != nil {
		return err
	}
	if cmp.Or(who.Mode, FlowCallback) != f.mode {
		return ErrDamaged // or somebody could have a code taken for a one-time token
	}
	f.kind, f.ticket, f.then, f.owner = who.Kind, who.Ticket, who.Then, who.toOwner(f.provider, f.source)
	if len(sealed.secret) > 0 {
		if err := k.openJSON(sealed.secret, &f.secret, f.secretAAD()...); err != nil {
			return err
		}
	}
	if len(sealed.staged) == 0 {
		return nil
	}
	return k.openJSON(sealed.staged, &f.result, f.resultAAD()...)
}

// sealFlow returns the sealed columns of a flow, by a new row key that is kept with
// it.
func (s *Store) sealFlow(ctx context.Context, tx querier, f *storedFlow) (*sealedFlow, error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, err
	}
	f.rowKey = k.id
	sealed := &sealedFlow{staged: []byte{}, secret: []byte{}} // a driver takes nil for NULL
	if !f.result.isZero() {
		if sealed.staged, err = k.sealJSON(f.result, f.resultAAD()...); err != nil {
			return nil, err
		}
	}
	if !f.secret.isZero() {
		if sealed.secret, err = k.sealJSON(f.secret, f.secretAAD()...); err != nil {
			return nil, err
		}
	}
	owner := newSealedOwner(f.owner, f.kind)
	owner.Ticket, owner.Then = f.ticket, f.then
	if f.mode != FlowCallback { // which older programs have not written
		owner.Mode = f.mode
	}
	sealed.owner, err = k.sealJSON(owner, f.ownerAAD()...)
	return sealed, err
}

// insertFlow writes a flow that is not in the database.
func (s *Store) insertFlow(ctx context.Context, tx querier, f *storedFlow) error {
	sealed, err := s.sealFlow(ctx, tx, f)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, "INSERT INTO journeys (id, provider, source, person, link, back, browser, state, mode, owner, staged, secret, row_key, sealed_by, created, expires) VALUES (",
		f.id, ", ", f.provider, ", ", f.source, ", ", s.ownerPseudonym(f.owner), ", ", f.link, ", ", f.back, ", ", f.browser, ", ", f.state, ", ", string(f.mode), ", ",
		sealed.owner, ", ", sealed.staged, ", ", sealed.secret, ", ", f.rowKey, ", ", s.primaryKeyName(), ", ", millis(f.created), ", ", millis(f.expires), ")")
	return err
}

// replaceFlow writes a flow that is in the database, sealed by a new row key and by
// the primary key of the keyset. Its former columns do not open any more. The error
// is errChanged if it was claimed, or its ticket opened, after it was read.
func (s *Store) replaceFlow(ctx context.Context, tx querier, f *storedFlow) error {
	before := f.rowKey
	if f.state == flowDone {
		f.secret = storedSecret{} // nobody redeems in it any more
	}
	sealed, err := s.sealFlow(ctx, tx, f)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, tx, "UPDATE journeys SET state = ", f.state, ", person = ", s.ownerPseudonym(f.owner),
		", owner = ", sealed.owner, ", staged = ", sealed.staged, ", secret = ", sealed.secret, ", claim_id = ", f.claimID, ", claim_until = ", optionalMillis(f.claimUntil),
		", link = ", f.link, ", browser = ", f.browser, ", expires = ", millis(f.expires), ", row_key = ", f.rowKey, ", sealed_by = ", s.primaryKeyName(),
		" WHERE id = ", f.id, " AND state = ", f.read.state, " AND claim_id = ", f.read.claimID, " AND link = ", f.read.link, " AND browser = ", f.read.browser, "")
	if err == nil && n == 0 {
		err = errChanged
	}
	if err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// ownerAAD is the associated data of a flow's owner. The tokens' pseudonyms are
// part of it: a row does not open in which an attacker has exchanged them for
// tokens that they know.
func (f *storedFlow) ownerAAD() []string {
	return []string{"owner of journey", f.provider, f.source, f.id, f.link, f.back, f.browser}
}

// secretAAD is the associated data of a flow's secret.
func (f *storedFlow) secretAAD() []string {
	return []string{"secret of journey", f.provider, f.source, f.id}
}

// resultAAD is the associated data of a flow's result.
func (f *storedFlow) resultAAD() []string {
	return []string{"staged of journey", f.provider, f.source, f.id}
}
