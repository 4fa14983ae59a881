// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// serveData answers what is under /v1/human, and /v1/me.
func (c *call) serveData() {
	n, refused := c.connection()
	if refused != nil {
		if refused.status == http.StatusUnauthorized {
			c.w.Header().Set("WWW-Authenticate", `Bearer realm="simulator"`)
		}
		c.refuse(refused)
		return
	}
	c.count(func(*Counts) { c.record.ClientID, c.record.UserCode = n.clientID, n.userCode })
	if !c.allow(http.MethodGet, http.MethodHead) {
		return
	}
	account, _ := c.sim.accounts.find(n.userCode)
	switch {
	case c.area == areaVerify:
		me := c.whose(n, c.settings.Verify)
		me["createdAt"] = "2026-01-05T09:00:00Z"
		me.clean()
		c.json(http.StatusOK, me)
	case c.path() == "/v1/human/profile":
		c.json(http.StatusOK, profile(account))
	case c.path() == "/v1/human/sources":
		c.json(http.StatusOK, connectedSources(n))
	case len(c.segments) == 3 && resources[c.segments[2]].items != nil:
		c.items(account, n, resources[c.segments[2]])
	default:
		c.fail(http.StatusNotFound, "not_found", "there is no such resource")
	}
}

// connection is that of the access token, which must be in one place that the
// settings name.
func (c *call) connection() (connection, *refusal) {
	token := ""
	for _, place := range c.settings.TokenIn {
		for _, value := range c.valuesIn(place) {
			if token != "" {
				return connection{}, &refusal{http.StatusBadRequest, "access_token_twice", "the access token is there twice"}
			}
			token = value
		}
	}
	n, ok := c.sim.store.open(token)
	if !ok {
		return connection{}, errUnknownToken
	}
	return n, nil
}

// valuesIn are the values that are no empty text in a place, in the words of
// [Settings.TokenIn].
func (c *call) valuesIn(place string) (found []string) {
	kind, name, _ := strings.Cut(place, " ")
	var values []string
	switch kind {
	case "query":
		values = c.URL.Query()[name]
	case "header":
		values = c.Header.Values(name)
	case "bearer":
		for _, value := range c.Header.Values("Authorization") {
			scheme, token, _ := strings.Cut(value, " ")
			if strings.EqualFold(scheme, "bearer") {
				values = append(values, strings.TrimSpace(token))
			}
		}
	}
	for _, value := range values {
		if value != "" {
			found = append(found, value)
		}
	}
	return found
}

// places are where an access token was seen, wherever the settings want it.
func (c *call) places() (seen []string) {
	all := append([]string{"bearer", "query access_token"}, c.settings.TokenIn...)
	for name := range c.Header {
		if name != "Authorization" {
			all = append(all, "header "+name)
		}
	}
	for name := range c.URL.Query() {
		all = append(all, "query "+name)
	}
	known := make(map[string]bool)
	for _, place := range all {
		for _, value := range c.valuesIn(place) {
			if _, ok := c.sim.store.open(value); (ok || place == "bearer" || place == "query access_token") && !known[strings.ToLower(place)] {
				known[strings.ToLower(place)] = true
				seen = append(seen, place)
			}
		}
	}
	slices.Sort(seen)
	return seen
}

// items answers with a page of a resource: limit and offset in, a Link to the
// next page out, which is absolute as those of the vendor are.
func (c *call) items(account Account, n connection, r resource) {
	limit, ok1 := whole(c.URL.Query().Get("limit"), 50)
	offset, ok2 := whole(c.URL.Query().Get("offset"), 0)
	if !ok1 || !ok2 || limit == 0 {
		c.fail(http.StatusBadRequest, "page_invalid", "limit or offset is no whole number")
		return
	}
	items := []item{}
	if n.sources[r.source] {
		items = r.items(account, c.now)
	}
	total := len(items)
	items = items[min(offset, total):min(offset+limit, total)]
	for _, it := range items {
		it["source"], it[c.names.Account] = r.source, c.sim.accounts.text(c.settings, n.userCode)
	}
	c.w.Header().Set("X-Total-Count", strconv.Itoa(total))
	if offset+limit < total {
		next := url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset + limit)}}
		c.w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, control.Base(c.Request), c.path(), next.Encode()))
	}
	c.json(http.StatusOK, items)
}

// whole reads a number from 0 to 1000.
func whole(text string, otherwise int) (int, bool) {
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= 1000
}
