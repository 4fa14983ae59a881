// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// ConsentsOptions are what [Consents] work with. Of the provider's hooks those are
// nil that it does not implement; they recover their own panics.
type ConsentsOptions struct {
	// Provider is the provider's configured name, and Source the data source, for
	// providers with several.
	Provider, Source string
	// Vendor is where the tokens of grants may be sent, as the configuration has it
	// now, see [delegation.Source.Vendor]. A grant of another vendor is not given to the
	// provider; "" for one without.
	Vendor string
	// Client names the operator's client at the vendor, see [delegation.Source.Client].
	// Default: the provider and source, if there is a Revoker.
	Client string
	// Store is the database. It is opened when it is first needed.
	Store *LazyStore
	// Cache are the grants in memory.
	Cache *Cache

	Starter   delegation.ConsentStarter
	Callbacks delegation.CallbackReader
	Redeemer  delegation.Redeemer
	Decoder   delegation.GrantDecoder
	Prober    delegation.ConsentProber
	Refresher delegation.GrantRefresher
	Revoker   delegation.GrantRevoker
	Importer  delegation.GrantImporter

	// Note writes an event of a person's consent to the log, and counts it in the
	// metrics. Nil: it is not told to anybody.
	Note func(delegation.ConsentEvent, delegation.Person)

	// Revoked is told how telling the platform of a revocation has gone. Nil: nobody is.
	Revoked func(RevocationOutcome, error)
	// Ended is told whose consent has ended by its date, once it is deleted. Nil: nobody
	// is.
	Ended func(context.Context, delegation.Person)

	// CallTimeout bounds one call of a hook. Default: 20 s, which is two calls of
	// the platform.
	CallTimeout time.Duration
	// RedeemTimeout bounds what a provider does with one code or one-time token, which
	// is spent: its exchange and all calls that follow. Default: CallTimeout.
	RedeemTimeout time.Duration
	// Patience is how long a browser that comes back waits for that. Default: 10 s.
	Patience time.Duration
}

// Consents are the consents of one provider and source: from the beginning of a
// flow over the grant that it leads to until the person takes it back. The provider
// has the part of [delegation.Grants]. The person of every call is who is signed
// in; that a grant is bound to nobody else is decided here, and in the database.
// Errors are a [*delegation.Refusal], [delegation.ErrPending], or wrap
// [delegation.ErrForeignFlow] or [delegation.ErrForged]. Safe for concurrent use.
type Consents struct {
	o ConsentsOptions
	// wake has the housekeeping look at once for what is due.
	wake chan struct{}
	// refused are the grants whose refresh token was refused once by the housekeeping.
	refused refusedOnce
}

// NewConsents returns the consents of a provider. It touches no database.
func NewConsents(o ConsentsOptions) *Consents {
	if o.CallTimeout <= 0 {
		o.CallTimeout = 2 * delegation.DefaultTimeout
	}
	if o.RedeemTimeout <= 0 {
		o.RedeemTimeout = o.CallTimeout
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	if o.Note == nil {
		o.Note = func(delegation.ConsentEvent, delegation.Person) {}
	}
	if o.Revoked == nil {
		o.Revoked = func(RevocationOutcome, error) {}
	}
	if o.Ended == nil {
		o.Ended = func(context.Context, delegation.Person) {}
	}
	if o.Client == "" && o.Revoker != nil {
		o.Client = string(tuple.Encode(o.Provider, o.Source))
	}
	return &Consents{o: o, wake: make(chan struct{}, 1)}
}

// Forget has the grants of a selection read again when they are needed.
func (c *Consents) Forget(s delegation.Selection) { c.o.Cache.dropSelected(s) }

// Lookups returns how many grants of a selection are in memory.
func (c *Consents) Lookups(s delegation.Selection) int { return c.o.Cache.count(s) }

// owner returns the owner of a person's grant.
func (c *Consents) owner(person delegation.Person) Owner {
	return Owner{Provider: c.o.Provider, Source: c.o.Source, Person: person}
}

// store returns the database. The error is a refusal.
func (c *Consents) store(ctx context.Context) (*Store, error) {
	s, err := c.o.Store.Store(ctx)
	if err != nil {
		return nil, refusalOf(err)
	}
	return s, nil
}

// hookContext returns the context of one call of a hook.
func (c *Consents) hookContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.o.CallTimeout)
}

// decode returns a grant of the database as the provider sees it. The error names
// no value.
func (c *Consents) decode(g *Grant) (*delegation.Grant, error) {
	return c.decodeForProvider(g.forProvider())
}

// errOtherVendor is the refusal of a grant whose tokens are those of another vendor than
// the source has now: its addresses were changed, or its name is another source's. They
// must not be sent there.
var errOtherVendor = delegation.Refuse(delegation.ConsentRequired,
	errors.New("what the user consented to is of another vendor: since then the addresses of the source were changed, or grants of another source were renamed to it; they have to connect again"))

// refusalOfDecoding returns the refusal for a grant that decode does not return.
func refusalOfDecoding(err error) *delegation.Refusal {
	if errors.Is(err, errOtherVendor) {
		return errOtherVendor
	}
	return delegation.Refuse(delegation.GrantsUnavailable, err)
}

// decodeForProvider sets the decoded value of a grant that nobody else has. All grants
// that a provider meets come from here. The error is errOtherVendor, or the provider's.
func (c *Consents) decodeForProvider(decoded *delegation.Grant) (*delegation.Grant, error) {
	if decoded.Vendor != c.o.Vendor {
		return nil, errOtherVendor
	}
	if c.o.Decoder == nil {
		return decoded, nil
	}
	value, err := c.o.Decoder.DecodeGrant(decoded)
	if err != nil {
		return nil, err
	}
	decoded.Decoded = value
	return decoded, nil
}

// stored returns a grant as the database knows it, as far as a change of its state
// needs it.
func (c *Consents) stored(g *delegation.Grant) *Grant {
	return &Grant{ID: g.ID, Owner: c.owner(g.Person), Account: g.Account, Version: g.Version}
}

var errNoConsent = errors.New("the user has not connected, or what they consented to is no longer accepted")

// refusalOf returns the refusal for an error of the store. A refusal is returned as
// it is.
func refusalOf(err error) *delegation.Refusal {
	switch {
	case errors.Is(err, ErrNotFound):
		return delegation.Refuse(delegation.ConsentRequired, errNoConsent)
	case errors.Is(err, ErrForeignFlow):
		return delegation.Refuse(delegation.ConsentRequired, delegation.ErrForeignFlow)
	case errors.Is(err, ErrConflict), errors.Is(err, ErrOtherAccount):
		return delegation.Refuse(delegation.AccountConflict, err)
	default:
		if ended, ok := errors.AsType[*EndedError](err); ok {
			return delegation.Refuse(endedCode(ended.Reason), err)
		}
		if r, ok := errors.AsType[*delegation.Refusal](err); ok {
			return r
		}
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
}

// endedCode is the code of a flow that has ended for a reason.
func endedCode(reason string) delegation.Code {
	switch code := delegation.Code(reason); code {
	case delegation.TokenRejected, delegation.ConsentDenied, delegation.AccountConflict:
		return code
	default:
		return delegation.FlowExpired
	}
}

// faultOf refuses a call whose hook has not done what its interface says.
func (c *Consents) faultOf(what string) *delegation.Refusal {
	return delegation.Refuse(delegation.NotDelegated, fmt.Errorf("provider %s %s: its module is at fault", c.o.Provider, what))
}

// Interface guards
var _ delegation.Grants = (*Consents)(nil)
