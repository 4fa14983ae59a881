// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// Client is an application that is registered at the vendor. For OAuth 1.0a, ID and
// Secret are the consumer's key and secret.
type Client struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Name   string `json:"name"` // as people read it
	// RedirectURIs are compared byte for byte. None: those on loopback are taken,
	// so that the demo may be anywhere on this machine.
	RedirectURIs []string `json:"redirectUris"`
	// Keys are those of private_key_jwt.
	Keys jose.JSONWebKeySet `json:"keys"`
}

// Check returns what is wrong with a client.
func (c *Client) Check() error {
	if c.ID == "" {
		return errors.New("id is missing")
	}
	return nil
}

// client returns a client by its ID.
func (v *Vendor) client(id string) (Client, bool) {
	for _, c := range v.clients {
		if c.ID == id && id != "" {
			return c, true
		}
	}
	return Client{}, false
}

// label is the name that is shown of a client.
func (c *Client) label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return b
}

// secret returns a random text of some kind, that is safe in URLs.
func secret(kind string) string { return kind + base64.RawURLEncoding.EncodeToString(randomBytes(24)) }
