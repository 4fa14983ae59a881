// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// providers are the external account providers, the same for everybody.
func (c *call) providers() []map[string]any {
	names := []string{"Fitbit", "Garmin", "Omron", "Oura", "Simulated Clinic"}
	all := make([]map[string]any, len(names))
	for i, name := range names {
		all[i] = map[string]any{
			"id": i + 1, "name": name, "category": "Device Manufacturer", "enabled": true,
			"logoUrl": fmt.Sprintf("%s/%sexternalaccountproviders/%d/logo", control.Base(c.Request), v1, i+1),
		}
	}
	return all
}

// listProviders pages by pageNumber, from 0, and pageSize, unlike the other lists.
func (c *call) listProviders() {
	q := c.URL.Query()
	number, ok1 := pageParam(q.Get("pageNumber"), 0)
	size, ok2 := pageParam(q.Get("pageSize"), maxPageSize)
	if !ok1 || !ok2 {
		c.fail(http.StatusBadRequest, "pageNumber and pageSize are whole numbers")
		return
	}
	size = min(max(size, 1), maxPageSize)
	found := []map[string]any{}
	for _, p := range c.providers() {
		if strings.Contains(strings.ToLower(p["name"].(string)), strings.ToLower(q.Get("search"))) {
			found = append(found, p)
		}
	}
	start := min(min(number, len(found))*size, len(found))
	c.json(http.StatusOK, c.own(map[string]any{
		"externalAccountProviders": found[start:min(start+size, len(found))], "totalExternalAccountProviders": len(found),
	}))
}

func (c *call) featuredProviders() {
	all := c.providers()[:2]
	for _, p := range all {
		c.own(p)
	}
	c.json(http.StatusOK, all)
}

// connectProvider answers with the address where consent would be given: a
// JSON string, not an object.
func (c *call) connectProvider() {
	id, err := strconv.Atoi(c.args[0])
	if err != nil || id < 1 || id > len(c.providers()) {
		c.fail(http.StatusNotFound, "no such provider")
		return
	}
	q := url.Values{
		"provider":          {c.args[0]},
		"participant":       {c.participant.ID},
		"finalRedirectPath": {c.URL.Query().Get("finalRedirectPath")},
	}
	if v := c.URL.Query().Get("verifierHash"); v != "" {
		q.Set("verifierHash", v)
	}
	c.json(http.StatusOK, control.Base(c.Request)+"/externalaccounts/consent?"+q.Encode())
}

// accounts are the external accounts of the participant. Their IDs are numbers.
func (c *call) accounts() []map[string]any {
	providers := c.providers()
	return c.items("account", func(n int) map[string]any {
		return map[string]any{
			"id": c.number("account", n, 1, 1<<31-2), "provider": providers[n], "status": "fetchComplete",
			"lastRefreshDate": day(n), "connectionDate": day(n), "providerUserID": c.participant.Identifier,
		}
	})
}

func (c *call) listAccounts() { c.json(http.StatusOK, c.kept(c.accounts())) }

func (c *call) refreshAccount() {
	for _, a := range c.kept(c.accounts()) {
		if fmt.Sprint(a["id"]) == c.args[0] {
			c.w.WriteHeader(http.StatusOK)
			return
		}
	}
	c.fail(http.StatusNotFound, "no such account")
}
