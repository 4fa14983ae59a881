// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

//go:embed page
var pageFiles embed.FS

// pages have no script, and names that tests can rely on: .account, #allow, #deny,
// #other, #reason, checkboxes called scope and radio buttons called patient, and the
// labels that a person reads.
var pages = template.Must(template.ParseFS(pageFiles, "page/*.html"))

// pagePrefix is where the pages' forms lead.
const pagePrefix = "/vendor/"

// servePages answers what the person's browser asks for.
func (c *call) servePages() {
	switch c.path {
	case pagePrefix + "style.css":
		c.serveFile("page/style.css", "text/css; charset=utf-8")
	case pagePrefix + "logo.svg":
		c.serveFile("page/logo.svg", "image/svg+xml")
	case pagePrefix + "account", pagePrefix + "other", pagePrefix + "decision":
		c.servePost()
	case c.settings.Paths.Authorize:
		c.serveAuthorize()
	default:
		c.showError(http.StatusNotFound, "there is no such page")
	}
}

func (c *call) serveFile(name, contentType string) {
	if !c.allow(http.MethodGet, http.MethodHead) {
		return
	}
	b, err := pageFiles.ReadFile(name)
	if err != nil {
		panic("sources: " + err.Error())
	}
	c.w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	c.send(http.StatusOK, contentType, b)
}

// serveAuthorize begins a flow: by GET, or by POST as RFC 6749 section 3.1 lets it.
func (c *call) serveAuthorize() {
	if !c.allow(http.MethodGet, http.MethodPost) {
		return
	}
	q := c.URL.Query()
	if c.Method == http.MethodPost && c.form != nil {
		q = c.form
	}
	f, err := c.sim.beginFlow(q, control.Base(c.Request), c.settings, c.now)
	var refused *redirectError
	switch {
	case errors.As(err, &refused):
		c.because(refused.Error())
		c.redirect(refused.flow.failed(refused.code, refused.description, c.settings))
	case err != nil:
		c.showError(http.StatusBadRequest, err.Error())
	default:
		account, ok := c.signedIn()
		if slices.Contains(f.prompt, "login") || slices.Contains(f.prompt, "select_account") {
			ok = false
		}
		c.show(f, account, ok)
	}
}

// servePost takes what a form on the pages says.
func (c *call) servePost() {
	if !c.allow(http.MethodPost) {
		return
	}
	f := c.sim.flow(c.form.Get("flow"), c.now)
	if f == nil {
		c.showError(http.StatusBadRequest, "this page has been answered, or it has expired: begin anew in the app")
		return
	}
	account, ok := c.signedIn()
	switch c.path {
	case pagePrefix + "account":
		if account, ok = c.sim.account(c.form.Get("account")); ok {
			c.signIn(account)
		}
		c.show(f, account, ok)
	case pagePrefix + "other":
		c.show(f, account, false)
	default:
		if !ok {
			c.show(f, account, false)
			return
		}
		c.takeDecision(f, account)
	}
}

func (c *call) takeDecision(f *flow, account Account) {
	d := Decision{Account: account.ID, Deny: c.form.Get("decision") != "allow", Patient: c.form.Get("patient")}
	for _, scope := range f.scopes {
		if !slices.Contains(c.form["scope"], scope) {
			d.Untick = append(d.Untick, scope)
		}
	}
	to, err := c.sim.decide(f, d, c.settings, c.now)
	if err != nil {
		c.showError(http.StatusBadRequest, err.Error())
		return
	}
	c.count(func(*Counts) { c.record.ClientID, c.record.Account = f.client.ID, account.ID })
	c.redirect(to)
}

// redirect leads the browser away, to the client.
func (c *call) redirect(to string) {
	c.pageHeaders()
	c.w.Header().Set("Location", to)
	c.w.WriteHeader(http.StatusFound)
}

// show answers with the page on which a person says who they are or, if that is
// known, with that on which they consent.
func (c *call) show(f *flow, account Account, signedIn bool) {
	data := map[string]any{
		"Vendor": c.sim.name, "Client": f.client.label(), "Flow": f.id, "Accounts": c.sim.accounts,
		"Account": account, "Scopes": f.scopes, "Untick": c.settings.Untick,
	}
	name := "account.html"
	if signedIn {
		name = "consent.html"
		if c.settings.Protocol == SMART {
			data["Patients"] = account.Patients
		}
	}
	c.page(http.StatusOK, name, data)
}

// showError tells the person in front of the browser what is wrong.
func (c *call) showError(status int, reason string) {
	c.because(reason)
	c.page(status, "error.html", map[string]any{"Vendor": c.sim.name, "Reason": reason})
}

func (c *call) pageHeaders() {
	h := c.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin") // as large vendors do: the opener is lost
}

func (c *call) page(status int, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		panic("sources: " + err.Error())
	}
	c.pageHeaders()
	// Without form-action: it would stop the redirect to the client.
	c.w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'")
	c.send(status, "text/html; charset=utf-8", b.Bytes())
}

// cookieName has the vendor's name in it: cookies do not tell ports apart, and
// several vendors may be on one host.
func (c *call) cookieName() string { return "vendor_session_" + c.settings.Preset }

// signIn has the browser remember the account, as vendors do: on a shared tablet,
// the next person is still signed in as the one before.
func (c *call) signIn(a Account) {
	id := secret("session-")
	c.sim.flows.mu.Lock()
	c.sim.flows.session[id] = a.ID
	c.sim.flows.mu.Unlock()
	http.SetCookie(c.w, &http.Cookie{Name: c.cookieName(), Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// signedIn is whom the browser's cookie tells.
func (c *call) signedIn() (Account, bool) {
	cookie, err := c.Cookie(c.cookieName())
	if err != nil {
		return Account{}, false
	}
	c.sim.flows.mu.Lock()
	id := c.sim.flows.session[cookie.Value]
	c.sim.flows.mu.Unlock()
	return c.sim.account(id)
}
