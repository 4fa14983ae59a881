// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// reply is the exchange's successful answer, checked.
type reply struct {
	account string
	access  delegation.Secret
	public  string // empty: there is none
	echo    map[string]any
}

// readReply reads the exchange's successful answer. Errors name a field, never its
// value.
func (p *Provider) readReply(a *answer, secret delegation.Secret) (*reply, error) {
	all, err := a.members()
	if err != nil {
		return nil, err
	}
	names := &p.config.Names
	access, ok := all[names.Access].(string)
	if !ok {
		return nil, fmt.Errorf("the answer's %s is missing, or no string", names.Access)
	}
	if err := checkAccessToken("the answer's "+names.Access, access); err != nil {
		return nil, err
	}
	r := &reply{access: delegation.NewSecret(access), echo: all}
	if r.account, ok = identifier(all[names.Account]); !ok {
		return nil, fmt.Errorf("the answer's %s is missing, or no string or whole number of 1 to %d bytes without control characters", names.Account, maxAccount)
	}
	if holds(r.account, r.access, secret) {
		return nil, fmt.Errorf("the answer's %s repeats a secret", names.Account)
	}
	r.public = publicText(all[names.Public], r.access, secret)
	return r, nil
}

// identifier returns an identifier as text. A number is a whole one, and stays as it
// is written: an ID may be longer than a float is exact.
func identifier(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, delegation.IsLine(value, maxAccount)
	case json.Number:
		return value.String(), len(value) <= maxAccount && strings.Trim(value.String(), "0123456789") == ""
	default:
		return "", false
	}
}

// publicText returns a public token as text; empty if there is none. One that holds
// a secret is none: browsers are told it.
func publicText(value any, secrets ...delegation.Secret) string {
	text, ok := value.(string)
	if !ok || checkAccessToken("", text) != nil || holds(text, secrets...) {
		return ""
	}
	return text
}

// holds reports whether a text repeats one of the secrets.
func holds(text string, secrets ...delegation.Secret) bool {
	for _, s := range secrets {
		if s.Reveal() != "" && strings.Contains(text, s.Reveal()) {
			return true
		}
	}
	return false
}
