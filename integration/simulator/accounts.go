// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// accountProviders are the external account providers, the same for everybody.
// The makers of devices have the platform's own IDs: its component library has
// them built in.
var accountProviders = []struct {
	id             int
	name, category string
}{
	{564, "Fitbit", "Device Manufacturer"},
	{40001, "Simulated Clinic", "Provider"},
	{6327, "Garmin", "Device Manufacturer"},
	{1466, "Omron", "Device Manufacturer"},
	{45417, "Oura", "Device Manufacturer"},
	{49369, "Google Health", "Device Manufacturer"},
	{40002, "Simulated Health Plan", "Health Plan"},
}

func (c *call) provider(n int) map[string]any {
	p := accountProviders[n]
	return map[string]any{
		"id": p.id, "name": p.name, "category": p.category, "enabled": true,
		"logoUrl": fmt.Sprintf("%s/%sexternalaccountproviders/%d/logo", control.Base(c.Request), v1, p.id),
	}
}

func (c *call) providers() []map[string]any {
	all := make([]map[string]any, len(accountProviders))
	for n := range all {
		all[n] = c.provider(n)
	}
	return all
}

// providerIndex is where the provider with that ID is; -1 if there is none.
func providerIndex(id string) int {
	for n, p := range accountProviders {
		if strconv.Itoa(p.id) == id {
			return n
		}
	}
	return -1
}

// listProviders pages by pageNumber, from 0, and pageSize, unlike the other lists.
func (c *call) listProviders() {
	q := c.URL.Query()
	number, size, ok := c.numberedPage()
	if !ok {
		return
	}
	found := []map[string]any{}
	for _, p := range c.providers() {
		if strings.Contains(strings.ToLower(p["name"].(string)), strings.ToLower(q.Get("search"))) &&
			(q.Get("category") == "" || q.Get("category") == p["category"]) {
			found = append(found, p)
		}
	}
	start := min(min(number, len(found))*size, len(found))
	c.json(http.StatusOK, c.withOwner(map[string]any{
		"externalAccountProviders": found[start:min(start+size, len(found))], "totalExternalAccountProviders": len(found),
	}))
}

func (c *call) featuredProviders() {
	all := c.providers()[:2]
	for _, p := range all {
		c.withOwner(p)
	}
	c.json(http.StatusOK, all)
}

// accounts are the external accounts of the participant: those that everybody
// has, and those they connected. Their IDs are numbers.
func (c *call) accounts() []map[string]any {
	stored := c.sim.stored.find(c.participant.ID)
	made := c.items("account", func(n int) map[string]any {
		// Refreshed a day ago at least: the component library refreshes what is older than some hours.
		return c.account(n, c.number("account", n, 1, 1<<30), c.day(n+1), c.day(n+1), []string{"fetchComplete", "fetchComplete", "unauthorized"}[n])
	})
	for n := itemsPerKind; n < len(accountProviders); n++ {
		if at := stored.time("connected", accountProviders[n].name); !at.IsZero() {
			made = append(made, c.withOwner(c.account(n, c.number("account", n, 1, 1<<30), isoDate(at), isoDate(at), "fetchComplete")))
		}
	}
	for n, a := range made {
		if at := stored.time("connected", a["provider"].(map[string]any)["name"].(string)); !at.IsZero() && n < itemsPerKind {
			a["status"], a["connectionDate"], a["lastRefreshDate"] = "fetchComplete", isoDate(at), isoDate(at)
		}
		if at := stored.time("refreshed", fmt.Sprint(a["id"])); !at.IsZero() {
			a["lastRefreshDate"] = isoDate(at)
		}
	}
	return made
}

func (c *call) account(provider, id int, connected, refreshed, status string) map[string]any {
	return map[string]any{
		"id": id, "provider": c.provider(provider), "status": status,
		"lastRefreshDate": refreshed, "connectionDate": connected, "providerUserID": c.participant.Identifier,
	}
}

func (c *call) listAccounts() { c.json(http.StatusOK, c.withoutDeleted(c.accounts())) }

func (c *call) refreshAccount() {
	for _, a := range c.withoutDeleted(c.accounts()) {
		if fmt.Sprint(a["id"]) == c.args[0] {
			c.sim.stored.of(c.participant.ID).setTime("refreshed", c.args[0], c.now)
			c.w.WriteHeader(http.StatusOK)
			return
		}
	}
	c.fail(http.StatusNotFound, "no such account")
}

// connect adds the participant's account at a provider, or mends the one that
// is there, deleted ones included.
func (c *call) connect(provider int) {
	stored := c.sim.stored.of(c.participant.ID)
	stored.setTime("connected", accountProviders[provider].name, c.now)
	stored.undelete(strconv.Itoa(c.number("account", provider, 1, 1<<30)))
}
