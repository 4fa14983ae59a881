// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connectpage"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// provisionPage checks the settings of the page of data sources.
func (c *Connect) provisionPage() error {
	if c.setsPage() && !c.hasSources() {
		return c.errNoPage()
	}
	if c.SignIn != "" {
		signIn, err := policy.ParseRedirect(c.SignIn)
		if err == nil {
			err = signIn.CheckOrigin(c.baseURL, c.app.origins)
		}
		if err != nil {
			return fmt.Errorf("sign_in %q: %w", c.SignIn, err)
		}
	}
	if c.User != "" {
		if err := checkPlaceholder(c.User); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	return nil
}

// setsPage reports whether one of the settings of the page is there.
func (c *Connect) setsPage() bool {
	return c.Page || c.Operator != "" || c.SignIn != "" || c.User != ""
}

// errNoPage says why a provider has no page.
func (c *Connect) errNoPage() error {
	return fmt.Errorf("page, sign_in, user: provider %s has no data sources to show on a page: remove the line", c.Provider)
}

// checkPageOption refuses the settings of the page for a provider without data
// sources, by the kind that the global options of a Caddyfile name.
func (c *Connect) checkPageOption(app App) error {
	if g, ok := c.optionGuest(app); ok && c.setsPage() && !g.hasSources() {
		return c.errNoPage()
	}
	return nil
}

// parsePage reads:
//
//	page [<operator>]
func (c *Connect) parsePage(d *caddyfile.Dispenser) error {
	if c.Page {
		return d.Err("page is set already")
	}
	c.Page = true
	if d.NextArg() {
		c.Operator = d.Val()
	}
	if d.NextArg() {
		return d.Errf("page takes the name of the app or the study, in quotes if it has blanks, not %q as well", d.Val())
	}
	return nil
}

// afterFlow returns where a browser is sent when a flow or a form has ended: to the
// page of data sources if there is one, else to the app's page.
func (v *connectRequest) afterFlow(outcome string) string {
	parameters := url.Values{connectParameter: {outcome}}
	if v.source != nil && v.source.name != "" {
		parameters.Set(sourceParameter, v.source.name)
	}
	if v.Page {
		return v.baseURL.String() + "/?" + parameters.Encode()
	}
	return v.returnPage.WithParameters(parameters)
}

// servePage serves the page of data sources. It is for navigations only, which may
// come from a vendor's site, at the end of a flow: it changes nothing, and no frame
// shows it.
func (v *connectRequest) servePage() error {
	if refusal := policy.CheckServiceWorker(v.r); refusal != nil {
		return v.refuse(refusal)
	}
	if err := checkNavigation(v.r); err != nil {
		return v.refuse(err)
	}
	if v.mayHaveSession() {
		return v.writeReturn(pagePath)
	}
	v.user = v.signedInUser(v.r, v.repl)
	var err error
	if v.owner, err = v.person(v.r, v.repl, v.user); err != nil {
		if v.SignIn == "" || delegation.AsRefusal(err).Code != delegation.SessionRequired {
			return v.refuseRequest(err)
		}
		_ = v.recordRefusal(err)
		v.w.Header().Set("Location", v.SignIn)
		v.w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	v.noteEnds()
	states, err := v.sourceStates(time.Now())
	if err != nil {
		return v.refuseRequest(err)
	}
	countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	return connectpage.Write(v.w, v.r, http.StatusOK, v.sourcesPage(states))
}

// sourcesPage returns the page of all sources with their states.
func (v *connectRequest) sourcesPage(states map[string]consent.SourceState) *connectpage.SourcesPage {
	page := &connectpage.SourcesPage{Site: v.site(consent.Overall(states)), User: v.userName(), Outcome: v.outcomeInQuery(states)}
	for _, s := range v.sources {
		state := states[s.name]
		shown := connectpage.Source{
			Name: s.name, Title: s.Title, HasLogo: len(s.Logo) > 0,
			State: connectpage.State(state.Status), Account: state.Account, Current: state.CurrentAccount, Partial: len(state.MissingScopes) > 0,
		}
		for _, action := range state.Actions {
			shown.Actions = append(shown.Actions, connectpage.Action(action))
		}
		page.Sources = append(page.Sources, shown)
	}
	return page
}

// outcomeInQuery returns the outcome that [connectRequest.afterFlow] has put into the
// page's address. Anybody can write another one into a link: what it names is looked
// up, and a state that is not the one found is not shown. Without a source it is that
// of all together.
func (v *connectRequest) outcomeInQuery(states map[string]consent.SourceState) connectpage.Outcome {
	query := v.r.URL.Query()
	outcome := connectpage.Outcome{Code: query.Get(connectParameter)}
	found := consent.SourceState{Status: consent.Overall(states)}
	if s := v.sourceNamed(query.Get(sourceParameter)); s != nil {
		outcome.Title, found = s.Title, states[s.name]
	}
	switch told := delegation.ConsentStatus(outcome.Code); told {
	case found.Status:
	case delegation.ConsentNone:
		if found.Status != delegation.ConsentEnded || found.Can(consent.CanDisconnect) { // else the vendor has ended it besides
			return connectpage.Outcome{}
		}
	case delegation.ConsentPending, delegation.ConsentConnected, delegation.ConsentConfirm, delegation.ConsentUpdate, delegation.ConsentEnded:
		return connectpage.Outcome{}
	}
	return outcome
}

// site returns what all pages have in common. status is what the app's page is told
// by the link that leads back to it.
func (v *connectRequest) site(status delegation.ConsentStatus) connectpage.Site {
	return connectpage.Site{
		Path: v.baseURL.Path, Operator: v.Operator, SignIn: v.SignIn,
		Done: v.returnPage.WithParameter(connectParameter, string(status)),
	}
}

// userName returns how the page names its user.
func (v *connectRequest) userName() string {
	if v.User != "" {
		if name := placeholderValue(v.repl, v.user, v.User); name != "" {
			return name
		}
	}
	return v.owner.Subject
}

// isForm reports whether a page's form has sent the request, whose answer is a page.
func (v *connectRequest) isForm() bool {
	kind, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// writeContinue answers a form with a page that leads to the vendor's. A redirect
// would be blocked by the form-action of a Content-Security-Policy.
func (v *connectRequest) writeContinue(started *grants.Started) error {
	return connectpage.Write(v.w, v.r, http.StatusOK, &connectpage.ContinuePage{
		Site: v.site(delegation.ConsentPending), User: v.userName(), Title: v.source.Title, URL: started.Page.URL, Back: v.pageAddress(),
	})
}

// pageAddress returns the path of the page of data sources.
func (v *connectRequest) pageAddress() string { return v.baseURL.Path + pagePath }

// mayHaveSession reports whether a browser that has come from another site is nobody's
// here, perhaps only because it leaves out cookies with SameSite=Strict.
func (v *connectRequest) mayHaveSession() bool {
	if site := v.r.Header.Values("Sec-Fetch-Site"); !slices.Equal(site, []string{"cross-site"}) {
		return false
	}
	_, err := v.person(v.r, v.repl, v.signedInUser(v.r, v.repl))
	return err != nil && delegation.AsRefusal(err).Code == delegation.SessionRequired
}

// writeReturn has such a browser ask for the same address once more, as from a page of
// this site: whose it is counts then.
func (v *connectRequest) writeReturn(endpoint string) error {
	address := v.baseURL.Path + endpoint
	if query := v.r.URL.Query().Encode(); query != "" {
		address += "?" + query
	}
	countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	return connectpage.Write(v.w, v.r, http.StatusOK, &connectpage.ReturnPage{Site: v.site(delegation.ConsentPending), URL: address})
}

// refuseRequest answers a request with err's refusal: with a page where a person
// looks at the answer and the site has no error pages of its own.
func (v *connectRequest) refuseRequest(err error) error {
	looks := v.r.Method == http.MethodGet && v.r.URL.Path == pagePath || v.r.Method == http.MethodPost && v.isForm()
	if !v.Page || !looks || hasErrorRoutes(v.r) {
		return v.refuse(err)
	}
	refusal := v.recordRefusal(err)
	setRefusalHeaders(v.w.Header(), v.refusals.statusName, refusal)
	page := &connectpage.ErrorPage{Site: v.site(delegation.ConsentNone), Outcome: connectpage.Outcome{Code: string(refusal.Code)}, Back: v.pageAddress()}
	if v.source != nil {
		page.Outcome.Title = v.source.Title
	}
	return connectpage.Write(v.w, v.r, refusal.Status(), page)
}
