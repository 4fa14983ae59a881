// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

const (
	maxAccount = 1024    // bytes
	maxToken   = 8 << 10 // bytes, of a one-time, access or public token
)

// grantSecret is what a grant's Secret holds, as JSON. Once released the names stay:
// they are in the databases.
type grantSecret struct {
	Access string `json:"access"`
	Public string `json:"public,omitempty"`
	User   string `json:"user"`
}

// seal returns the text for a grant's Secret.
func (s grantSecret) seal() (delegation.Secret, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return delegation.Secret{}, err
	}
	return delegation.NewSecret(string(text)), nil
}

// accessToken is a grant as requests use it: the [delegation.Grant.Decoded] of this
// provider.
type accessToken struct {
	grant  *delegation.Grant
	access delegation.Secret
	public string
	user   string // the identifier that the widget was opened with
	// acceptedAt is the path of the data call that has succeeded with it last, nil
	// if none: a 401 of another one may be about the route.
	acceptedAt atomic.Pointer[string]
}

var errGrant = errors.New("the grant is not one of a Connect platform")

// DecodeGrant implements [delegation.GrantDecoder].
func (p *Provider) DecodeGrant(g *delegation.Grant) (any, error) {
	return decodeGrant(g)
}

func decodeGrant(g *delegation.Grant) (*accessToken, error) {
	all, err := strictjson.Decode([]byte(g.Secret.Reveal()))
	if err != nil {
		return nil, errGrant
	}
	access, _ := all["access"].(string)
	public, _ := all["public"].(string)
	user, _ := all["user"].(string)
	if err := checkAccessToken("access", access); err != nil || !delegation.IsLine(g.Account, maxAccount) {
		return nil, errGrant
	}
	return &accessToken{grant: g, access: delegation.NewSecret(access), public: public, user: user}, nil
}

// of returns the grant as requests use it.
func of(g *delegation.Grant) (*accessToken, error) {
	if t, ok := g.Decoded.(*accessToken); ok {
		return t, nil
	}
	t, err := decodeGrant(g)
	if err != nil {
		return nil, delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	return t, nil
}

// checkAccessToken refuses a token that no Authorization header can carry: CR LF
// would end the header (RFC 6750 section 2.1). The error names the field alone.
func checkAccessToken(field, token string) error {
	switch {
	case token == "":
		return fmt.Errorf("%s is empty", field)
	case len(token) > maxToken:
		return fmt.Errorf("%s is longer than %d bytes", field, maxToken)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("%s holds characters that no bearer token has", field)
		}
	}
	return nil
}
