// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// open returns the consent by which the request may use the API: with a bearer
// token in Authorization and nowhere else, or signed by OAuth 1.0a. It answers where
// there is none.
func (c *call) open() (*grant, bool) {
	for name, value := range c.settings.APIHeaders {
		if c.Header.Get(name) != value {
			c.fail(http.StatusForbidden, "forbidden", name+" is missing or wrong")
			return nil, false
		}
	}
	if c.settings.Protocol == OAuth1 {
		return c.openSigned()
	}
	if q := c.URL.Query(); q.Has("access_token") || c.form.Has("access_token") {
		c.fail(http.StatusBadRequest, "invalid_request", "the access token belongs into Authorization")
		return nil, false
	}
	headers := c.Header.Values("Authorization")
	token := ""
	if len(headers) == 1 {
		if scheme, text, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "bearer") {
			token = text
		}
	}
	g, _, reason := c.sim.store.find(token, c.now)
	if g == nil {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="simulator", error="invalid_token"`)
		c.fail(http.StatusUnauthorized, "invalid_token", reason)
		return nil, false
	}
	c.opened(g)
	return g, true
}

// opened notes whose data the call is about.
func (c *call) opened(g *grant) {
	c.count(func(*Counts) { c.record.ClientID, c.record.Account = g.client, g.account })
}

// serveAccount says whose the access token is.
func (c *call) serveAccount() {
	g, ok := c.open()
	if !ok || !c.allow(http.MethodGet, http.MethodHead) {
		return
	}
	a, _ := c.sim.account(g.account)
	answer := map[string]any{"name": a.Name, "email": strings.ToLower(strings.Fields(a.Name)[0]) + "@people.example"}
	if c.settings.AccountMember != "" {
		put(answer, c.settings.AccountMember, idValue(g.account, c.settings.AccountNumber))
	}
	c.json(http.StatusOK, answer)
}

// serveRegister registers a person with a client, once.
func (c *call) serveRegister() {
	g, ok := c.open()
	if !ok {
		return
	}
	if !strings.Contains(string(c.body), `"member-id"`) {
		c.fail(http.StatusBadRequest, "invalid_request", "member-id is missing")
		return
	}
	if !c.sim.store.register(g) {
		c.fail(http.StatusConflict, "conflict", "the person is registered")
		return
	}
	c.count(func(n *Counts) { n.Registrations++ })
	c.json(http.StatusOK, map[string]any{"polar-user-id": idValue(g.account, true)})
}

// serveData answers what is under the prefix of data.
func (c *call) serveData() {
	if c.path == "/v2/signature" && c.settings.Revoke == "withings" {
		c.serveNonce()
		return
	}
	g, ok := c.open()
	if !ok {
		return
	}
	name := path.Base(c.path)
	scope := c.settings.ResourceScopes[name]
	switch {
	case c.settings.Paths.Register != "" && !c.sim.store.isRegistered(g):
		c.fail(http.StatusForbidden, "not_registered", "the person is not registered with the client")
	case c.settings.Protocol == SMART:
		c.serveFHIR(g)
	case scope != "" && !slices.Contains(g.scopes, scope):
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="simulator", error="insufficient_scope", scope="`+scope+`"`)
		c.fail(http.StatusForbidden, "insufficient_scope", "the consent lacks "+scope)
	case name == "notes":
		c.serveNotes(g)
	case name == "elsewhere": // a redirect to wherever the test wants it
		c.w.Header().Set("Location", c.URL.Query().Get("to"))
		c.w.WriteHeader(http.StatusFound)
	case resources[name] != nil && name == "measure":
		if c.allow(http.MethodPost) {
			c.json(http.StatusOK, map[string]any{"status": 0, "body": map[string]any{"account": g.account, "measuregrps": resources[name](g.account, c.now)}})
		}
	case resources[name] != nil:
		if c.allow(http.MethodGet, http.MethodHead) {
			c.items(g, resources[name](g.account, c.now))
		}
	default:
		c.fail(http.StatusNotFound, "not_found", "there is no such resource")
	}
}

// items answers with a page of a resource: limit and offset in; out, the address of
// the next page, which is absolute as those of vendors are.
func (c *call) items(g *grant, items []item) {
	limit, ok1 := whole(c.URL.Query().Get("limit"), 25)
	offset, ok2 := whole(c.URL.Query().Get("offset"), 0)
	if !ok1 || !ok2 || limit == 0 {
		c.fail(http.StatusBadRequest, "invalid_request", "limit or offset is no whole number")
		return
	}
	total := len(items)
	answer := map[string]any{"account": g.account, "total": total, "data": items[min(offset, total):min(offset+limit, total)]}
	if offset+limit < total {
		next := url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset + limit)}}
		answer["next"] = control.Base(c.Request) + c.path + "?" + next.Encode()
		c.w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, answer["next"]))
	}
	c.json(http.StatusOK, answer)
}

// serveNotes keeps what is posted, and answers with all of it.
func (c *call) serveNotes(g *grant) {
	if !c.allow(http.MethodGet, http.MethodPost) {
		return
	}
	key := [2]string{g.client, g.account}
	c.sim.store.mu.Lock()
	if c.Method == http.MethodPost {
		c.sim.store.notes[key] = append(c.sim.store.notes[key], string(c.body))
	}
	notes := slices.Clone(c.sim.store.notes[key])
	c.sim.store.mu.Unlock()
	status := http.StatusOK
	if c.Method == http.MethodPost {
		status = http.StatusCreated
	}
	c.json(status, map[string]any{"account": g.account, "notes": notes})
}

// serveNonce answers with a nonce for one of Withings' signed calls.
func (c *call) serveNonce() {
	client, ok := c.signedClient("getnonce", c.form.Get("timestamp"))
	at, err := strconv.ParseInt(c.form.Get("timestamp"), 10, 64)
	if !ok || err != nil || c.now.Sub(time.Unix(at, 0)).Abs() > nonceLifetime {
		c.refuse(wrongClient("action is not getnonce, the timestamp is not of now, or the signature is wrong"))
		return
	}
	c.json(http.StatusOK, map[string]any{"status": 0, "body": map[string]any{"nonce": c.sim.store.giveNonce(client.ID, c.now)}})
}

// whole reads a number from 0 to 1000.
func whole(text string, otherwise int) (int, bool) {
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= 1000
}
