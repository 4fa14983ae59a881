// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// ClientJWKS returns the JWK set (RFC 7517) with the public half of client_key, to be
// registered at the vendor: indented JSON with a line break at its end. The error says
// why there is none, and repeats nothing of the key.
func (c *Config) ClientJWKS() (string, error) {
	if c.ClientAuth != ClientAuthKey {
		return "", fmt.Errorf("source %s has no client_key: its client authenticates by %s", c.Name, c.ClientAuth)
	}
	key, err := c.parseClientKey()
	if err != nil {
		return "", err
	}
	return key.PublicJWKS()
}

// parseClientKey returns the private key of client_key.
func (c *Config) parseClientKey() (*oauth.ClientKey, error) {
	if c.ClientKey.Reveal() == "" {
		return nil, errors.New("client_key is missing: client_auth private_key_jwt needs the PEM text of the private key, such as {file./run/secrets/source.pem}")
	}
	key, err := oauth.ParseClientKey(c.ClientKey.Reveal())
	if err != nil {
		return nil, fmt.Errorf("client_key: %w", err)
	}
	return key, nil
}
