// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ImportResult is what has become of a grant of another program.
type ImportResult string

// The results of an import.
const (
	// Imported grants are in use, ImportedBefore were imported by an earlier run.
	Imported       ImportResult = "imported"
	ImportedBefore ImportResult = "imported before"
	// ImportKept is that the person has connected already: that grant stays, and
	// nothing was sent.
	ImportKept ImportResult = "connected already"
	// ImportConflict is that another person has the account, or the token; or that the
	// import of another token of the person is not over.
	ImportConflict ImportResult = "conflict"
	// ImportRefused is that the vendor does not accept the token, ImportRefusedBefore
	// that it did not when it was tried before: it was not sent again.
	ImportRefused       ImportResult = "refused"
	ImportRefusedBefore ImportResult = "refused before"
	// ImportOtherAccount is that the vendor says another account than the operator:
	// the grant is kept and retired.
	ImportOtherAccount ImportResult = "other account"
	// ImportUntried is that nothing was spent. ImportUncertain is that nobody knows
	// whether it was: another run tries that once more.
	ImportUntried   ImportResult = "not tried"
	ImportUncertain ImportResult = "uncertain"
)

// CanImport reports whether the consents of another program can be taken over.
func (c *Consents) CanImport() bool { return c.o.Importer != nil }

// CheckImport returns what is missing in an import, or not as it should be; nil if
// nothing. It touches neither network nor database.
func (c *Consents) CheckImport(i *delegation.GrantImport) error {
	_, err := c.o.Importer.ReadImport(i)
	return err
}

// RecordImport notes that an operator imports, for the record of decisions.
func (c *Consents) RecordImport(ctx context.Context, by string) error {
	store, err := c.o.Store.Store(ctx)
	if err != nil {
		return err
	}
	return store.write(ctx, "recording an import", func(ctx context.Context, tx querier) error {
		return store.recordDecision(ctx, tx, actionImport, "", by)
	})
}

// Import takes over a grant of another program: its token is tried once, by whoever
// leases the grant, on whatever machine. What was begun is carried through when ctx
// ends, so that the answer of the vendor is stored. again has a token tried that was
// refused before. The error says why beside the result; with an empty result it is one
// of [Consents.CheckImport] or of the database.
func (c *Consents) Import(ctx context.Context, i *delegation.GrantImport, again bool) (ImportResult, error) {
	read, err := c.o.Importer.ReadImport(i)
	if err != nil {
		return "", err
	}
	store, err := c.o.Store.Store(ctx)
	if err != nil {
		return "", err
	}
	g := &Grant{
		Owner: c.owner(i.Person), Account: read.Account, Label: read.Label, Scopes: read.Scopes, Vendor: c.o.Vendor, Client: c.o.Client, Secret: read.Secret, Tokens: read.Tokens,
	}
	purpose := LeaseProbe
	if i.Refresh.Reveal() != "" {
		purpose = LeaseRefresh
	}
	wait := newLeaseWait(2 * (c.o.CallTimeout + leaseMargin))
	for {
		begun, err := store.BeginImport(ctx, g, i.Token(), again)
		if err != nil {
			return resultOfBegin(err)
		}
		again = false
		l, err := store.Lease(ctx, begun, purpose, c.o.CallTimeout)
		switch {
		case errors.Is(err, ErrLeased) || errors.Is(err, ErrNotFound):
			if err := store.awaitLease(ctx, begun, wait); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		case l.Grant.Version != begun.Version: // somebody was faster
			if err := l.Cancel(ctx); err != nil {
				return "", err
			}
		default:
			return c.tryImport(delegation.Detach(ctx), l)
		}
	}
}

// resultOfBegin is what an error of [Store.BeginImport] means.
func resultOfBegin(err error) (ImportResult, error) {
	ended, isEnded := errors.AsType[*EndedError](err)
	switch {
	case errors.Is(err, ErrImported):
		return ImportedBefore, nil
	case errors.Is(err, ErrHasGrant):
		return ImportKept, nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrImportedForOther), errors.Is(err, ErrImportUnfinished):
		return ImportConflict, err
	case isEnded && ended.Reason == reasonOtherAccount:
		return ImportOtherAccount, errOtherAccountBefore
	case isEnded:
		return ImportRefusedBefore, nil
	default:
		return "", err
	}
}

var (
	errOtherAccount       = errors.New("the vendor says that the token is of another account: the grant is kept, retired and under the account that the vendor says")
	errOtherAccountBefore = errors.New("an earlier run has found that the token is of another account, and has kept the grant retired")
	errMaybeSpent         = errors.New("an earlier run had sent it, and no answer to that was stored: if it was spent then, the user has to connect anew")
)

// tryImport has the vendor judge a leased grant, and stores what that has led to.
func (c *Consents) tryImport(ctx context.Context, l *Lease) (ImportResult, error) {
	until := time.Now().Add(c.o.CallTimeout)
	if until.After(l.ends) { // taking the lease took long
		until = l.ends
	}
	call, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	g, err := c.decodeForProvider(l.Grant.forProvider())
	if err != nil {
		return ImportUntried, errors.Join(refusalOfDecoding(err), l.Cancel(ctx))
	}
	result, err := c.o.Importer.TryImport(call, g, l.Uncertain > 0)
	switch {
	case result != nil && err != nil:
		return ImportUncertain, errors.Join(err, l.FinishImport(ctx, result, importUnverified))
	case result != nil && result.Account != "" && result.Account != g.Account:
		return ImportOtherAccount, errors.Join(errOtherAccount, l.FinishImport(ctx, result, importOther))
	case err == nil:
		return resultOfFinish(l.FinishImport(ctx, result, importUsed))
	case delegation.AsRefusal(err).Code == delegation.DelegationRefused:
		if l.Uncertain > 0 {
			err = errors.Join(err, errMaybeSpent)
		}
		return ImportRefused, errors.Join(err, l.store.EndImport(ctx, l.Grant, reasonRefused))
	case nothingSpent(err) && l.Uncertain > 0:
		return ImportUntried, errors.Join(err, l.Cancel(ctx)) // the run before may have spent it
	case nothingSpent(err):
		return ImportUntried, errors.Join(err, l.store.EndImport(ctx, l.Grant, ""))
	default:
		return ImportUncertain, errors.Join(err, l.Release(ctx))
	}
}

// reasonRefused is why a token was tried and led to nothing.
const reasonRefused = "refused"

// resultOfFinish is what an error of [Lease.FinishImport] means.
func resultOfFinish(err error) (ImportResult, error) {
	switch {
	case err == nil:
		return Imported, nil
	case errors.Is(err, ErrReplaced):
		return ImportKept, nil
	case errors.Is(err, ErrNotFound):
		return ImportedBefore, errors.New("the user has left, or an operator has deleted the grant, while it was tried")
	default:
		return ImportUncertain, err
	}
}
