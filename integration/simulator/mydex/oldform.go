// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// nonces are the short access tokens of the older form of connecting. Each is
// good once.
type nonces struct {
	mu   sync.Mutex
	live map[string]bool
}

const maxNonces = 10000

func (n *nonces) issue() string {
	token := secret(24)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live == nil || len(n.live) >= maxNonces {
		n.live = make(map[string]bool) // nobody waits for that many
	}
	n.live[token] = true
	return token
}

func (n *nonces) take(token string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	ok := n.live[token]
	delete(n.live, token)
	return ok
}

// oldSetup is [setup] as the older form sends it: its version is text.
type oldSetup struct {
	setup
	Version string `json:"version"`
}

// serveOldForm serves the older form of connecting, which the platform's
// examples still show: a short access token, and then the link as a bare JSON
// string. It returns whether the call was one of these.
func (c *call) serveOldForm() bool {
	switch {
	case len(c.segments) == 2 && c.segments[0] == "access-token" && c.Method == http.MethodGet:
		if c.segments[1] != c.sim.nid {
			c.fail(http.StatusBadRequest, "The connection does not exist.")
		} else {
			c.json(http.StatusOK, c.sim.nonces.issue())
		}
	case c.path() == "/api/pds" && c.Method == http.MethodPost:
		c.serveRegistration()
	case c.path() == "/api/connection" && c.Method == http.MethodPost:
		c.oldLink(false)
	case c.path() == "/api/connection/update" && c.Method == http.MethodPost:
		c.oldLink(true)
	default:
		return false
	}
	return true
}

func (c *call) oldLink(update bool) {
	if refused := c.checkOldForm(); refused != nil {
		c.refuse(refused)
		return
	}
	var s oldSetup
	b, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	version := 1
	if err == nil && update {
		version, err = strconv.Atoi(s.Version)
	}
	if err != nil || s.MydexID == nil || update && version < 2 {
		c.fail(http.StatusBadRequest, "The request body is not the JSON object expected here")
		return
	}
	s.setup.Version = &version
	link, refused := c.link(kindConnect, s.setup)
	if refused != nil {
		c.refuse(refused)
		return
	}
	c.json(http.StatusOK, link)
}

// checkOldForm looks at the bearer token and the short access token, which is
// used up by it.
func (c *call) checkOldForm() *refusal {
	if refused := c.checkBearer(ScopePDX); refused != nil {
		return refused
	}
	short := c.Header.Get("Short-Access-Token")
	want := Hash(short + c.sim.token)
	if !c.sim.nonces.take(short) || subtle.ConstantTimeCompare([]byte(want), []byte(c.Header.Get("Authentication"))) != 1 {
		return &refusal{http.StatusUnauthorized, "Authentication is not the hash of a fresh short access token and the connection token"}
	}
	return nil
}
