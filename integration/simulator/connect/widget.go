// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// serveWidget answers for the script that pages load, and for the widget itself.
func (c *call) serveWidget() {
	switch c.path() {
	case "/connect.js", "/connect/widget.js", "/connect/style.css":
		if c.allow(http.MethodGet, http.MethodHead) {
			c.asset()
		}
	case "/connect":
		if c.allow(http.MethodGet) {
			c.openWidget()
		}
	case "/connect/account", "/connect/source", "/connect/finish", "/connect/close":
		if c.allow(http.MethodPost) {
			c.Body = http.MaxBytesReader(c.w, c.Body, maxBody)
			c.step()
		}
	default:
		c.fail(http.StatusNotFound, "not_found", "there is no such resource")
	}
}

// global is the name that the script takes in the page.
func (s *Settings) global() string {
	if s.Preset == HumanConnectV1 {
		return "HumanConnect"
	}
	return "Connect"
}

// asset answers with a script or the style sheet, which pages of any origin may load.
func (c *call) asset() {
	name := c.segments[len(c.segments)-1]
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic("connect: " + err.Error())
	}
	kind := "text/javascript; charset=utf-8"
	if strings.HasSuffix(name, ".css") {
		kind = "text/css; charset=utf-8"
	}
	c.w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.Header().Set("Cache-Control", "no-cache")
	c.send(http.StatusOK, kind, []byte(strings.ReplaceAll(string(text), "GLOBAL", c.settings.global())))
}

// openWidget begins a visit: by the script, which names the origin of its page, or
// as a page of its own, which names where it leads to.
func (c *call) openWidget() {
	q := c.URL.Query()
	app, ok := c.sim.applications.find(q.Get("clientId"))
	if !ok {
		c.last(flow{}, message{"error", trouble{"client_unknown", "There is no application of this client ID."}})
		return
	}
	f := flow{app: app, user: q.Get("clientUserId"), begun: c.now}
	if origin := q.Get("origin"); app.allowsOrigin(origin) {
		f.origin = origin
	}
	if to := q.Get("finishUrl"); app.allowsFinishURL(to) {
		f.finish, f.close = to, to
	}
	if to := q.Get("closeUrl"); app.allowsFinishURL(to) {
		f.close = to
	}
	if f.origin == "" && f.finish == "" {
		c.last(f, message{"error", trouble{"origin_unknown", "The application does not allow the page that has opened this one."}})
		return
	}
	if f.user == "" {
		c.last(f, message{"error", trouble{"client_user_missing", "The application does not say for whom this is."}})
		return
	}
	if public := q.Get("publicToken"); public != "" {
		// Bound to the person: else whoever finds a public token takes the account.
		n, ok := c.sim.store.returning(public)
		if !ok || n.clientID != app.ClientID || n.user != f.user {
			c.last(f, message{"error", trouble{"public_token_invalid", "The public token is not the latest one of this person."}})
			return
		}
		f.userCode = n.userCode
	}
	c.show(c.sim.flows.add(f))
}

// step does what the person has pressed.
func (c *call) step() {
	account, _ := c.sim.accounts.find(c.PostFormValue("account"))
	action := c.segments[1]
	f, ok := c.sim.flows.update(c.PostFormValue("flow"), c.now, func(f *flow) bool {
		switch action {
		case "account":
			f.userCode = account.UserCode
		case "finish":
			f.over = len(c.connected(f)) > 0
			return f.over
		case "close":
			f.over = true
			return true
		}
		return f.userCode != ""
	})
	if !ok {
		c.last(flow{}, message{"error", trouble{"page_outdated", "This page is too old, or was used before."}})
		return
	}
	switch action {
	case "source":
		c.sim.store.sources(f.app.ClientID, f.userCode, func(connected map[string]bool) {
			for _, s := range sources {
				if s.ID == c.PostFormValue("source") {
					connected[s.ID] = true
					if c.PostFormValue("connect") == "no" {
						delete(connected, s.ID)
					}
				}
			}
		})
	case "finish":
		c.count(func(n *Counts) { n.Finished++ })
		result := c.sim.Handover(c.sim.finish(f.app.ClientID, f.user, f.userCode))
		if f.finish != "" {
			c.leave(f.finish, result)
			return
		}
		c.last(f, message{"finish", result})
		return
	case "close":
		c.count(func(n *Counts) { n.Closed++ })
		if f.finish != "" {
			c.leave(f.close, nil)
			return
		}
		c.last(f, message{"close", nil})
		return
	}
	c.show(f)
}

// connected are the sources of the account that are connected, by ID.
func (c *call) connected(f *flow) map[string]bool {
	return c.sim.store.sources(f.app.ClientID, f.userCode, func(map[string]bool) {})
}

// leave sends the browser, or the web view of an app, to where the widget leads
// to, with its result in the query.
func (c *call) leave(to string, result any) {
	u, err := url.Parse(to)
	if err != nil {
		panic("connect: " + err.Error())
	}
	q := u.Query()
	switch r := result.(type) {
	case string:
		q.Set(c.names.Token, r)
	case map[string]string:
		for name, value := range r {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Referrer-Policy", "no-referrer")
	c.w.Header().Set("Location", u.String())
	c.w.WriteHeader(http.StatusSeeOther)
}

// show shows the page at which a visit is.
func (c *call) show(f flow) {
	if f.userCode == "" {
		c.page(http.StatusOK, f, "account.html", map[string]any{
			"Application": f.app.label(), "Flow": f.id, "Accounts": c.sim.accounts.all[:min(maxShown, len(c.sim.accounts.all))],
		})
		return
	}
	account, _ := c.sim.accounts.find(f.userCode)
	connected := c.connected(&f)
	type row struct {
		Source
		Connected bool
	}
	rows := make([]row, len(sources))
	for i, s := range sources {
		rows[i] = row{s, connected[s.ID]}
	}
	c.page(http.StatusOK, f, "sources.html", map[string]any{
		"Application": f.app.label(), "Flow": f.id, "Account": account.label(), "Sources": rows, "Ready": len(connected) > 0,
	})
}

// maxShown bounds how many accounts the page offers.
const maxShown = 20

// message is what a last page tells the page that opened the widget.
type message struct {
	event  string
	result any
}

// trouble is the result of an error.
type trouble struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// last ends a visit with a message.
func (c *call) last(f flow, m message) {
	status, title, text := http.StatusOK, "You can go back", "Go back to the application; this window can be closed."
	if t, ok := m.result.(trouble); ok {
		c.count(func(*Counts) { c.record.Reason = t.Code })
		status, title, text = http.StatusBadRequest, "Sorry", t.Message
	}
	b := control.Marshal(map[string]any{"widget": "connect", "event": m.event, "result": m.result})
	c.page(status, f, "last.html", map[string]any{"Title": title, "Text": text, "Message": string(b), "Origin": f.origin})
}
