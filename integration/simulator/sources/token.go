// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// serveToken answers the token endpoint: a code or a refresh token in, tokens out.
func (c *call) serveToken() {
	if c.settings.Protocol == OAuth1 {
		c.serveAccessToken()
		return
	}
	if c.Method != http.MethodPost {
		c.w.Header().Set("Allow", http.MethodPost)
		c.refuse(&tokenError{http.StatusMethodNotAllowed, "invalid_request", "the method is not POST"})
		return
	}
	if refused := c.checkForm(); refused != nil {
		c.refuse(refused)
		return
	}
	client, refused := c.authenticate()
	if refused != nil {
		c.refuse(refused)
		return
	}
	switch c.form.Get("grant_type") {
	case "authorization_code":
		c.redeemCode(client)
	case "refresh_token":
		c.spendRefresh(client)
	default:
		c.refuse(&tokenError{http.StatusBadRequest, "unsupported_grant_type", "grant_type is neither authorization_code nor refresh_token"})
	}
}

// checkForm refuses parameters in the address, and those that are there twice (RFC
// 6749 section 3.2).
func (c *call) checkForm() *tokenError {
	switch {
	case c.form == nil:
		return &tokenError{http.StatusBadRequest, "invalid_request", "the body is no form"}
	case c.URL.RawQuery != "":
		return &tokenError{http.StatusBadRequest, "invalid_request", "there are parameters in the address"}
	case c.area == areaCode && c.form.Get("grant_type") == "refresh_token":
		return &tokenError{http.StatusBadRequest, "invalid_request", "refresh tokens have an address of their own"}
	}
	for name, values := range c.form {
		if len(values) > 1 {
			return &tokenError{http.StatusBadRequest, "invalid_request", name + " is there twice"}
		}
	}
	return nil
}

func (c *call) redeemCode(client Client) {
	if refused := c.checkParams(c.settings.TokenParams, c.form.Get("redirect_uri")); refused != nil {
		c.refuse(refused)
		return
	}
	i, reused, reason := c.sim.store.redeem(c.form.Get("code"), client, c.form, c.sim, c.settings, c.now)
	c.count(func(n *Counts) {
		if reused {
			n.CodesReused++
		}
		if reason == "" {
			n.Redeemed++
			c.record.ClientID, c.record.Account = client.ID, i.grant.account
		}
	})
	if reason != "" {
		c.refuse(&tokenError{http.StatusBadRequest, "invalid_grant", reason})
		return
	}
	c.answerTokens(i, true)
}

func (c *call) spendRefresh(client Client) {
	redirectURI := ""
	if len(client.RedirectURIs) > 0 {
		redirectURI = client.RedirectURIs[0]
	}
	if refused := c.checkParams(c.settings.RefreshParams, redirectURI); refused != nil {
		c.refuse(refused)
		return
	}
	i, reused, reason := c.sim.store.spend(c.form.Get("refresh_token"), client, c.sim, c.settings, c.now)
	c.count(func(n *Counts) {
		switch {
		case reused:
			n.RefreshReused++
		case reason == "":
			n.Refreshed++
			c.record.ClientID, c.record.Account = client.ID, i.grant.account
		}
		if i.graced {
			n.Graced++
		}
	})
	if reason != "" {
		c.refuse(&tokenError{http.StatusBadRequest, "invalid_grant", reason})
		return
	}
	if c.spoilt() {
		c.answerTokens(i, false)
	}
}

// checkParams refuses a request without the parameters that the vendor wants beyond
// the standard.
func (c *call) checkParams(want map[string]string, redirectURI string) *tokenError {
	for name, value := range want {
		if value == "redirect_uri" {
			if value = redirectURI; value == "" {
				value = c.form.Get(name) // on loopback any will do
			}
		}
		if got := c.form.Get(name); got != value || got == "" {
			return &tokenError{http.StatusBadRequest, "invalid_request", name + " is not " + value}
		}
	}
	return nil
}

// spoilt does what the settings say to the answer to a refresh token that has been
// spent. It returns whether there is still one to be given.
func (c *call) spoilt() bool {
	switch c.settings.Answer {
	case "drop":
		control.Outage{Reset: true}.Apply(c.Context(), c.w, nil)
		return false
	case "error":
		c.fail(http.StatusInternalServerError, "simulated", "the token is spent, and the answer is lost")
		return false
	case "hold":
		s := c.sim.settings.Await(c.Context(), func(s *Settings) bool { return s.Answer == "hold" })
		if s == nil {
			return false
		}
		c.settings = s
	}
	return true
}
