// SPDX-License-Identifier: Apache-2.0

package sources

// The signatures of OAuth 1.0a.
const (
	HMACSHA1   = "HMAC-SHA1"
	HMACSHA256 = "HMAC-SHA256"
)

// SetDefaults sets what was not set. The addresses are resolved before it.
func (c *Config) SetDefaults() {
	if c.Title == "" {
		c.Title = c.Name
	}
	if c.Protocol == OAuth1 {
		if c.Signature == "" {
			c.Signature = HMACSHA1
		}
		return
	}
	if c.ClientAuth == "" {
		c.ClientAuth = c.usualClientAuth()
	}
	if c.Covers == "" {
		c.Covers = CoversEqual
		if c.Protocol == SMART {
			c.Covers = CoversSMART
		}
	}
	if c.Refresh == "" {
		c.Refresh = RefreshRotates
	}
	if c.RefreshURL == nil {
		c.RefreshURL = c.TokenURL // nil as well before discovery
	}
}

func (c *Config) usualClientAuth() ClientAuth {
	switch {
	case c.ClientKey.Reveal() != "":
		return ClientAuthKey
	case c.Protocol != SMART:
		return ClientAuthBody
	case c.ClientSecret.Reveal() == "":
		return ClientAuthNone
	default:
		return ClientAuthBasic
	}
}
