// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// storedSecret is the JSON of a grant's Secret.
type storedSecret struct {
	Key          string   `json:"key"`
	ConnectionID string   `json:"connection_id"`
	MydexID      string   `json:"mydexid,omitempty"`
	Datasets     []string `json:"datasets,omitempty"` // that may be read
}

// decodedGrant is a grant's Secret decoded. It is not changed.
type decodedGrant struct {
	member   Member
	mydexID  string
	readable []string // datasets
}

var errForeignGrant = errors.New("a grant holds what this provider has not written")

// DecodeGrant implements [delegation.GrantDecoder].
func (p *Provider) DecodeGrant(g *delegation.Grant) (any, error) {
	var s storedSecret
	if json.Unmarshal([]byte(g.Secret.Reveal()), &s) != nil {
		return nil, errForeignGrant
	}
	decoded := &decodedGrant{
		member:  Member{UID: g.Account, ConnectionID: s.ConnectionID, Key: delegation.NewSecret(s.Key)},
		mydexID: s.MydexID, readable: s.Datasets,
	}
	if err := decoded.member.Check(); err != nil {
		return nil, err
	}
	return decoded, nil
}

// decodedOf returns what [Provider.DecodeGrant] has made of a grant. The error is a
// refusal.
func decodedOf(g *delegation.Grant) (*decodedGrant, error) {
	decoded, ok := g.Decoded.(*decodedGrant)
	if !ok {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, errForeignGrant)
	}
	return decoded, nil
}

// decodedGrantOf returns a person's grant in use, decoded. The error is a refusal.
func (p *Provider) decodedGrantOf(ctx context.Context, person delegation.Person) (*decodedGrant, error) {
	g, err := p.grants.Get(ctx, person)
	if err != nil {
		return nil, err
	}
	return decodedOf(g)
}
