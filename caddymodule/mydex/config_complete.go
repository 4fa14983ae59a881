// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"fmt"
)

// CheckComplete reports the first required setting that is empty, and an
// unknown environment. A Caddyfile's settings are checked by it while they may
// still hold placeholders, so that the error has file and line; [New] does so
// as well. The error begins with the setting's name in the Caddyfile.
func (c *Config) CheckComplete() error {
	_, known := environments[c.Environment]
	switch {
	case c.Environment != "" && !known:
		return fmt.Errorf("environment is live or sandbox, not %q", c.Environment)
	case c.Environment == "" && (c.APIURL == "" || c.TokenURL == "" || c.IdentityURL == ""):
		return errors.New("environment is missing: live or sandbox; or give api_url, token_url and identity_url")
	case c.ClientID == "":
		return errors.New("client_id is missing: the OAuth client's, from Mydex")
	case c.ClientSecret.Reveal() == "":
		return errors.New("client_secret is missing: the OAuth client's, from Mydex, by {file.…} or {env.…}")
	case c.ConnectionNID == "":
		return errors.New("connection_nid is missing: the number of the dedicated connection")
	case c.ConnectionToken.Reveal() == "":
		return errors.New("connection_token is missing: the dedicated connection's, from Mydex, by {file.…} or {env.…}")
	}
	return nil
}
