// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// storedTokens are the tokens of a grant or of a flow's result, before they are
// sealed. Tokens are bytes, because JSON replaces what is not UTF-8; times are
// milliseconds since 1970, 0 for none.
type storedTokens struct {
	Access         []byte `json:"access,omitempty"`
	AccessExpires  int64  `json:"access_expires,omitempty"`
	Refresh        []byte `json:"refresh,omitempty"`
	RefreshExpires int64  `json:"refresh_expires,omitempty"`
}

func newStoredTokens(t delegation.GrantTokens) storedTokens {
	return storedTokens{
		Access: []byte(t.Access.Reveal()), AccessExpires: optionalMillis(t.AccessExpires),
		Refresh: []byte(t.Refresh.Reveal()), RefreshExpires: optionalMillis(t.RefreshExpires),
	}
}

func (t storedTokens) tokens() delegation.GrantTokens {
	return delegation.GrantTokens{
		Access: secretOf(t.Access), AccessExpires: optionalTime(t.AccessExpires),
		Refresh: secretOf(t.Refresh), RefreshExpires: optionalTime(t.RefreshExpires),
	}
}

// secretOf is the zero value for no bytes.
func secretOf(b []byte) delegation.Secret {
	if len(b) == 0 {
		return delegation.Secret{}
	}
	return delegation.NewSecret(string(b))
}

// openTokens opens a grant's column tokens. To be called after openOwner, whose
// values its seal is bound to.
func (g *Grant) openTokens(k *rowKey, sealed []byte) error {
	if len(sealed) == 0 {
		g.Tokens = delegation.GrantTokens{}
		return nil
	}
	var stored storedTokens
	if err := k.openJSON(sealed, &stored, g.tokensAAD()...); err != nil {
		return err
	}
	g.Tokens = stored.tokens()
	return nil
}

// optionalMillis is the time as a column has it: 0 for the zero time.
func optionalMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return millis(t)
}

func optionalTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
