// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// serveConsole answers with the page on which developers register applications,
// and does what its buttons say. It shows secrets: like control calls, it is for
// loopback and the same origin only.
func (c *call) serveConsole() {
	if !control.Local(c.Request) {
		c.fail(http.StatusForbidden, "not_local", "the console is for loopback and the same origin only")
		return
	}
	if c.path() == "/" {
		if c.allow(http.MethodGet, http.MethodHead) {
			c.showConsole()
		}
		return
	}
	act := consoleActions[c.path()]
	if act == nil {
		c.fail(http.StatusNotFound, "not_found", "there is no such resource")
		return
	}
	if !c.allow(http.MethodPost) {
		return
	}
	c.Body = http.MaxBytesReader(c.w, c.Body, maxBody)
	_ = c.ParseForm()
	if err := act(c); err != nil {
		c.fail(http.StatusBadRequest, "refused", err.Error())
		return
	}
	c.w.Header().Set("Location", "/")
	c.w.WriteHeader(http.StatusSeeOther)
}

// consoleActions are what the console's forms do, by their path.
var consoleActions = map[string]func(*call) error{
	"/console/register": func(c *call) error {
		_, err := c.sim.Register(Application{Name: c.PostForm.Get("name"), Origins: strings.Fields(c.PostForm.Get("origins"))})
		return err
	},
	"/console/secret": func(c *call) error {
		return c.sim.SetClientSecret(c.PostForm.Get("clientId"), "secret-"+strings.ToLower(rand.Text()))
	},
	"/console/remove": func(c *call) error {
		c.sim.Unregister(c.PostForm.Get("clientId"))
		return nil
	},
	"/console/revoke": func(c *call) error {
		c.sim.Revoke(c.PostForm.Get("clientId"), c.PostForm.Get("userCode"))
		return nil
	},
	"/console/modes": func(c *call) error { return c.sim.SetMode(c.PostForm["mode"]...) },
}

// shownExchanges is how many exchanges the console shows.
const shownExchanges = 20

func (c *call) showConsole() {
	type mode struct {
		Mode
		On bool
	}
	all := make([]mode, len(modes))
	for i, m := range modes {
		all[i] = mode{m, slices.Contains(c.settings.Modes, m.Name)}
	}
	exchanges := slices.DeleteFunc(c.sim.Records(), func(r Record) bool { return r.Area != areaExchange })
	slices.Reverse(exchanges)
	h := c.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	c.render(http.StatusOK, "console.html", map[string]any{
		"Applications": c.sim.Applications(), "Base": control.Base(c.Request), "Preset": c.settings.Preset, "Sources": sources,
		"Connections": c.sim.Connections(), "Exchanges": exchanges[:min(shownExchanges, len(exchanges))], "Modes": all,
	})
}
