// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// storedFlow is a consent flow as the database has it.
type storedFlow struct {
	id, provider, source string
	link, back, browser  string // pseudonyms of the correlation ID, the state and the browser token
	state, rowKey        string
	owner                Owner
	kind                 FlowKind
	result               storedResult // empty while the flow is open
	expires              time.Time
}

const flowColumns = "id, provider, source, link, back, browser, state, owner, staged, row_key, expires"

// flowByToken returns the flow with a token. column is link, back or browser.
func (s *Store) flowByToken(ctx context.Context, db querier, provider, source, column, token string) (*storedFlow, error) {
	return s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND "+column+" IN ", s.tokenPseudonyms(column, token), "")
}

// queryFlow reads one flow and opens it.
func (s *Store) queryFlow(ctx context.Context, db querier, pieces ...any) (*storedFlow, error) {
	// A row's key is gone if the row was replaced after it was read.
	for range maxRereads {
		f := new(storedFlow)
		var owner, staged []byte
		var expires int64
		if err := s.queryRow(ctx, db, func(row scanner) error {
			return row.Scan(&f.id, &f.provider, &f.source, &f.link, &f.back, &f.browser, &f.state, &owner, &staged, &f.rowKey, &expires)
		}, pieces...); err != nil {
			return nil, err
		}
		f.expires = time.UnixMilli(expires)
		k, err := s.rowKey(ctx, db, f.rowKey)
		if errors.Is(err, errNoRowKey) {
			continue
		}
		if err == nil {
			err = f.unseal(k, owner, staged)
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	return nil, ErrDamaged
}

// unseal opens the sealed columns of a flow.
func (f *storedFlow) unseal(k *rowKey, owner, staged []byte) error {
	var who sealedOwner
	if err := k.openJSON(owner, &who, f.ownerAAD()...); err != nil {
		return err
	}
	f.kind, f.owner = who.Kind, who.toOwner(f.provider, f.source)
	if len(staged) == 0 {
		return nil
	}
	return k.openJSON(staged, &f.result, f.resultAAD()...)
}

// sealFlow returns the sealed columns of a flow, by a new row key that is kept with
// it.
func (s *Store) sealFlow(ctx context.Context, tx querier, f *storedFlow) (owner, staged []byte, err error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	f.rowKey = k.id
	staged = []byte{} // a driver takes nil for NULL
	if f.result.Sequence != 0 {
		if staged, err = k.sealJSON(f.result, f.resultAAD()...); err != nil {
			return nil, nil, err
		}
	}
	owner, err = k.sealJSON(newSealedOwner(f.owner, f.kind), f.ownerAAD()...)
	return owner, staged, err
}

// replaceFlow writes a flow that is in the database, sealed by a new row key and by
// the primary key of the keyset. Its former columns do not open any more.
func (s *Store) replaceFlow(ctx context.Context, tx querier, f *storedFlow) error {
	before := f.rowKey
	owner, staged, err := s.sealFlow(ctx, tx, f)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, tx, "UPDATE journeys SET state = ", f.state, ", person = ", s.ownerPseudonym(f.owner), ", owner = ", owner, ", staged = ", staged,
		", row_key = ", f.rowKey, ", sealed_by = ", s.primaryKeyName(), " WHERE id = ", f.id, ""); err != nil {
		return err
	}
	return s.deleteRowKeys(ctx, tx, before)
}

// expired tells whether it is too late to complete a flow. A staged result waits
// for longer than an open flow: the platform may be unable to hand it over again.
func (f *storedFlow) expired(now time.Time) bool {
	switch {
	case f.state == flowOpen:
		return now.After(f.expires)
	case f.state == flowStaged && f.browser == "":
		return now.After(f.expires.Add(returnGraceAnyBrowser))
	case f.state == flowStaged:
		return now.After(f.expires.Add(returnGrace))
	default:
		return false
	}
}

// ownerAAD is the associated data of a flow's owner. The tokens' pseudonyms are
// part of it: a row does not open in which an attacker has exchanged them for
// tokens that they know.
func (f *storedFlow) ownerAAD() []string {
	return []string{"owner of journey", f.provider, f.source, f.id, f.link, f.back, f.browser}
}

// resultAAD is the associated data of a flow's result.
func (f *storedFlow) resultAAD() []string {
	return []string{"staged of journey", f.provider, f.source, f.id}
}

// storedResult is a [PendingResult] in a flow's row, before it is sealed. When the
// flow has ended only its digest is left, by which the same result is told from
// another: the credential is in the grant then, and deleted with it.
type storedResult struct {
	Account  string `json:"account,omitempty"`
	Secret   []byte `json:"secret,omitempty"` // bytes, because JSON replaces what is not UTF-8
	Sequence int64  `json:"at"`               // when it was handed over, see [Store.nextSequence]
	// Digest is that of account and secret, once these are gone.
	Digest []byte `json:"sum,omitempty"`
}

// pending is the result as it was handed over; empty when the flow has ended.
func (t storedResult) pending() PendingResult {
	return PendingResult{Account: t.Account, Secret: delegation.NewSecret(string(t.Secret))}
}

// resultDigest is a SHA-256 over account and secret. It is kept sealed.
func resultDigest(account string, secret []byte) []byte {
	sum := sha256.Sum256(tuple.Encode(account, string(secret)))
	return sum[:]
}

// digestOnly returns the part of a result that stays when its flow has ended.
func (t storedResult) digestOnly() storedResult {
	return storedResult{Sequence: t.Sequence, Digest: resultDigest(t.Account, t.Secret)}
}

// equals tells whether the platform has handed over the same before.
func (t storedResult) equals(what PendingResult) bool {
	sum := t.Digest
	if sum == nil {
		sum = resultDigest(t.Account, t.Secret)
	}
	return subtle.ConstantTimeCompare(sum, resultDigest(what.Account, []byte(what.Secret.Reveal()))) == 1
}
