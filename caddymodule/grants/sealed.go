// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// sealedOwner is the owner of a row, before it is sealed.
type sealedOwner struct {
	Realm    string   `json:"realm"`
	Subject  string   `json:"subject"`
	Slot     string   `json:"slot,omitempty"`
	Account  string   `json:"account,omitempty"`
	Label    string   `json:"label,omitempty"`  // of a grant: how the account is shown
	Scopes   []string `json:"scopes,omitzero"`  // of a grant: those that were granted; none is not the same as no word of it
	Vendor   string   `json:"vendor,omitempty"` // of a grant: see [Grant.Vendor]
	Client   string   `json:"client,omitempty"` // of a grant: see [Grant.Client]
	Sequence int64    `json:"told,omitempty"`   // of a grant: when it was handed over, see [Store.nextSequence]
	Kind     FlowKind `json:"kind,omitempty"`   // of a flow
	Mode     FlowMode `json:"mode,omitempty"`   // of a flow; empty: by callback
	Ticket   bool     `json:"ticket,omitempty"` // of a flow: see [Flow.Ticket]
	Then     string   `json:"then,omitempty"`   // of a flow: see [Flow.Then]
	Pairwise string   `json:"id,omitempty"`     // of a person: see [Store.PairwiseID]
}

func (i sealedOwner) toOwner(provider, source string) Owner {
	return Owner{Provider: provider, Source: source, Person: delegation.Person{Realm: i.Realm, Subject: i.Subject}, Slot: i.Slot}
}

func newSealedOwner(o Owner, kind FlowKind) sealedOwner {
	return sealedOwner{Realm: o.Realm, Subject: o.Subject, Slot: o.Slot, Kind: kind}
}

// sealGrant returns the sealed columns of a grant, by a new row key that is kept
// with it.
func (s *Store) sealGrant(ctx context.Context, tx querier, g *Grant) (*sealedColumns, error) {
	k, err := s.newRowKey(ctx, tx)
	if err != nil {
		return nil, err
	}
	owner := newSealedOwner(g.Owner, "")
	owner.Account, owner.Label, owner.Scopes, owner.Vendor, owner.Client, owner.Sequence = g.Account, g.Label, g.Scopes, g.Vendor, g.Client, g.sequence
	sealed := &sealedColumns{secret: k.seal([]byte(g.Secret.Reveal()), g.secretAAD()...), tokens: []byte{}} // a driver takes nil for NULL
	if sealed.owner, err = k.sealJSON(owner, g.ownerAAD()...); err != nil {
		return nil, err
	}
	if g.Tokens != (delegation.GrantTokens{}) {
		if sealed.tokens, err = k.sealJSON(newStoredTokens(g.Tokens), g.tokensAAD()...); err != nil {
			return nil, err
		}
	}
	g.rowKey = k.id
	return sealed, nil
}

// place begins the associated data of a sealed column: what is queued to be revoked does
// not open as a grant.
func (g *Grant) place(column string) string {
	if g.inQueue {
		return column + " of revocation"
	}
	return column + " of grant"
}

func (g *Grant) ownerAAD() []string { return []string{g.place("owner"), g.Provider, g.Source, g.ID} }

func (g *Grant) secretAAD() []string {
	return []string{g.place("secret"), g.Provider, g.Source, g.ID, g.Realm, g.Subject, g.Slot, g.Account}
}

func (g *Grant) tokensAAD() []string {
	return []string{g.place("tokens"), g.Provider, g.Source, g.ID, g.Realm, g.Subject, g.Slot, g.Account}
}

// openOwner opens a grant's column owner into its Owner, Account, Label, Scopes and Vendor.
func (g *Grant) openOwner(k *rowKey, sealed []byte) error {
	var who sealedOwner
	if err := k.openJSON(sealed, &who, g.ownerAAD()...); err != nil {
		return err
	}
	g.Owner, g.Account, g.Label, g.Scopes = who.toOwner(g.Provider, g.Source), who.Account, who.Label, who.Scopes
	g.Vendor, g.Client, g.sequence = who.Vendor, who.Client, who.Sequence
	return nil
}

// openSecret opens a grant's column secret. To be called after openOwner, whose
// values its seal is bound to.
func (g *Grant) openSecret(k *rowKey, sealed []byte) error {
	plain, err := k.open(sealed, g.secretAAD()...)
	if err != nil {
		return err
	}
	g.Secret = delegation.NewSecret(string(plain))
	return nil
}

// Rows are found by pseudonyms. While keys are rotated there are more than one of
// each: rows are written with the primary key's, and looked up by all.

func (o Owner) pseudonymParts() []string {
	return []string{"person of grant", o.Provider, o.Source, o.Realm, o.Subject, o.Slot}
}

func (s *Store) ownerPseudonym(o Owner) string    { return s.keys.Name(o.pseudonymParts()...) }
func (s *Store) ownerPseudonyms(o Owner) []string { return s.keys.Names(o.pseudonymParts()...) }

func (s *Store) accountPseudonym(provider, source, account string) string {
	return s.keys.Name("account of grant", provider, source, account)
}

func (s *Store) accountPseudonyms(provider, source, account string) []string {
	return s.keys.Names("account of grant", provider, source, account)
}

// sharedPseudonym names an account at the operator's client of a vendor, which may have
// grants of several providers and sources; empty if the client is not known.
func (s *Store) sharedPseudonym(g *Grant) string {
	if g.Client == "" {
		return ""
	}
	return s.keys.Name(g.sharedParts()...)
}

func (s *Store) sharedPseudonyms(g *Grant) []string { return s.keys.Names(g.sharedParts()...) }

func (g *Grant) sharedParts() []string { return []string{"account at client", g.Client, g.Account} }
