// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"encoding/binary"
	"encoding/json"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// identity is what a row says of its owner, before it is sealed.
type identity struct {
	Realm   string `json:"realm"`
	Subject string `json:"subject"`
	Slot    string `json:"slot,omitempty"`
	Account string `json:"account,omitempty"`
	Kind    Kind   `json:"kind,omitempty"`
	Told    int64  `json:"told,omitempty"` // when the platform did, in nanoseconds since 1970
}

func (i identity) owner(provider, source string) Owner {
	return Owner{Provider: provider, Source: source, Person: delegation.Person{Realm: i.Realm, Subject: i.Subject}, Slot: i.Slot}
}

func identityOf(o Owner, kind Kind) identity {
	return identity{Realm: o.Realm, Subject: o.Subject, Slot: o.Slot, Kind: kind}
}

// associated binds a sealed value to its place.
func associated(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	return b
}

func (s *Store) sealJSON(v any, place ...string) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.keys.Seal(plain, associated(place...))
}

func (s *Store) openJSON(sealed []byte, v any, place ...string) error {
	plain, err := s.keys.Open(sealed, associated(place...))
	if err == nil {
		err = json.Unmarshal(plain, v)
	}
	if err != nil {
		return ErrDamaged
	}
	return nil
}

func (s *Store) sealGrant(g *Grant) (owner, secret []byte, err error) {
	if owner, err = s.sealJSON(identity{Realm: g.Realm, Subject: g.Subject, Slot: g.Slot, Account: g.Account, Told: g.told}, g.ownerPlace()...); err != nil {
		return nil, nil, err
	}
	secret, err = s.keys.Seal([]byte(g.Secret.Reveal()), associated(g.secretPlace()...))
	return owner, secret, err
}

func (g *Grant) ownerPlace() []string { return []string{"owner of grant", g.Provider, g.Source, g.ID} }

func (g *Grant) secretPlace() []string {
	return []string{"secret of grant", g.Provider, g.Source, g.ID, g.Realm, g.Subject, g.Slot, g.Account}
}

func (s *Store) openOwner(g *Grant, sealed []byte) error {
	var who identity
	if err := s.openJSON(sealed, &who, g.ownerPlace()...); err != nil {
		return err
	}
	g.Owner, g.Account, g.told = who.owner(g.Provider, g.Source), who.Account, who.Told
	return nil
}

func (s *Store) openSecret(g *Grant, sealed []byte) error {
	plain, err := s.keys.Open(sealed, associated(g.secretPlace()...))
	if err != nil {
		return ErrDamaged
	}
	g.Secret = delegation.NewSecret(string(plain))
	return nil
}

// What rows are found by. While keys are rotated there is more than one name.

func (o Owner) parts() []string {
	return []string{"person of grant", o.Provider, o.Source, o.Realm, o.Subject, o.Slot}
}

func (s *Store) person(o Owner) string    { return s.keys.Name(o.parts()...) }
func (s *Store) persons(o Owner) []string { return s.keys.Names(o.parts()...) }

func (s *Store) account(provider, source, account string) string {
	return s.keys.Name("account of grant", provider, source, account)
}

func (s *Store) accounts(provider, source, account string) []string {
	return s.keys.Names("account of grant", provider, source, account)
}
