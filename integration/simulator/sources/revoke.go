// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// revokes reports whether the request asks to end a consent.
func (c *call) revokes() bool {
	p := c.settings.Paths.Revoke
	switch {
	case p == "" || c.settings.Revoke == "":
		return false
	case c.settings.Revoke == "withings":
		return c.path == p && c.form.Get("action") == "revoke"
	case c.settings.Revoke == "delete":
		return c.Method == http.MethodDelete && (c.path == p || strings.HasPrefix(c.path, p+"/"))
	}
	return c.path == p
}

// serveRevoke ends a consent.
func (c *call) serveRevoke() {
	var g *grant
	switch c.settings.Revoke {
	case "delete":
		var ok bool
		if g, ok = c.open(); !ok {
			return
		}
		if rest := strings.TrimPrefix(c.path, c.settings.Paths.Revoke); rest != "" && rest != "/"+g.account {
			c.fail(http.StatusForbidden, "forbidden", "the account is another's")
			return
		}
	case "withings":
		if g = c.signedRevoke(); g == nil {
			return
		}
	default:
		var ok bool
		if g, ok = c.revokedToken(); !ok {
			return
		}
	}
	if g != nil { // an unknown token is no error (RFC 7009 section 2.2)
		c.sim.store.end(g, c.settings.RevokeAll)
		c.count(func(n *Counts) {
			n.Revoked++
			c.record.ClientID, c.record.Account = g.client, g.account
		})
	}
	switch c.settings.Revoke {
	case "delete":
		c.w.WriteHeader(http.StatusNoContent)
	case "withings":
		c.json(http.StatusOK, map[string]any{"status": 0, "body": map[string]any{}})
	default:
		c.json(http.StatusOK, map[string]any{})
	}
}

// revokedToken is the consent of the token that is to be revoked, nil of one that is
// unknown or another client's. It answers where that may not be asked.
func (c *call) revokedToken() (*grant, bool) {
	if !c.allow(http.MethodPost) {
		return nil, false
	}
	token := c.form.Get("token")
	if c.settings.Revoke == "query" {
		q := c.URL.Query()
		token = q.Get("token") + q.Get("access_token")
	}
	clientID := ""
	if c.settings.RevokeAuth {
		client, refused := c.authenticate()
		if refused != nil {
			c.refuse(refused)
			return nil, false
		}
		clientID = client.ID
	}
	if token == "" {
		c.refuse(&tokenError{http.StatusBadRequest, "invalid_request", "token is missing"})
		return nil, false
	}
	g := c.sim.store.byToken(token)
	if g == nil || clientID != "" && g.client != clientID {
		c.because("the token is unknown or another client's")
		return nil, true
	}
	return g, true
}

// byToken returns the consent of a token of either kind.
func (s *store) byToken(text string) *grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.access[text]; t != nil {
		return t.grant
	}
	if t := s.refresh[text]; t != nil {
		return t.grant
	}
	return nil
}

// signedRevoke is the consent that Withings' action=revoke names: by its userid, with
// a signature over a nonce that was asked for before.
func (c *call) signedRevoke() *grant {
	nonce := c.form.Get("nonce")
	client, ok := c.signedClient("revoke", nonce)
	if !ok {
		c.refuse(wrongClient("the signature is wrong"))
		return nil
	}
	if !c.sim.store.takeNonce(nonce, client.ID, c.now) {
		c.refuse(&tokenError{http.StatusBadRequest, "invalid_request", "the nonce is unknown or used"})
		return nil
	}
	c.sim.store.mu.Lock()
	defer c.sim.store.mu.Unlock()
	for _, g := range c.sim.store.grants {
		if g.client == client.ID && g.account == c.form.Get("userid") {
			return g
		}
	}
	c.refuse(&tokenError{http.StatusBadRequest, "invalid_request", "there is no such userid"})
	return nil
}

// signedClient returns the client that has signed Withings' form for an action, over
// action, client and what is good once.
func (c *call) signedClient(action, once string) (Client, bool) {
	client, ok := c.sim.client(c.form.Get("client_id"))
	mac := hmac.New(sha256.New, []byte(client.Secret))
	_, _ = mac.Write([]byte(action + "," + client.ID + "," + once))
	signed := hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(c.form.Get("signature")))
	return client, ok && signed && once != "" && c.form.Get("action") == action
}

// nonceLifetime is how long Withings' nonces live.
const nonceLifetime = 30 * time.Minute

// giveNonce makes a nonce for a client's signed calls.
func (s *store) giveNonce(clientID string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready()
	text := secret("")
	s.nonces[text] = nonce{clientID, now.Add(nonceLifetime)}
	return text
}

type nonce struct {
	client  string
	expires time.Time
}

func (s *store) takeNonce(text, clientID string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.nonces[text]
	delete(s.nonces, text)
	return ok && n.client == clientID && now.Before(n.expires)
}
