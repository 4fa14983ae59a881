// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"errors"
	"net/url"
	"strings"
)

// State is how a person stands with a source, in the words of GET /status.
type State string

// The states of a source.
const (
	StateNone      State = "none"            // not connected
	StatePending   State = "pending"         // a flow is under way
	StateConnected State = "connected"       // there is a grant
	StateUpdate    State = "update_required" // the vendor does not accept the grant any more
	StateEnded     State = "ended"           // the vendor has ended its service
)

// Action is what a person can do about a source, in the words of GET /status.
type Action string

// The actions, each of which is a form of the page.
const (
	ActionConnect    Action = "connect"    // POST /start/<source>
	ActionUpdate     Action = "update"     // POST /update/<source>
	ActionDisconnect Action = "disconnect" // POST /disconnect/<source>
)

// Site is what the pages of one delegate_connect have in common.
type Site struct {
	// Path is the path of the directive's url, such as /connect, without a slash at
	// its end; "" at the root of a site.
	Path string
	// Operator is the name by which people know the app or the study; may be empty.
	Operator string
	// Done is the app's page, where "Finish connecting data" leads: a path of this
	// site or an https URL.
	Done string
	// SignIn is the page where people sign in; may be empty.
	SignIn string
}

// Source is one source on the page of sources.
type Source struct {
	Name    string // [a-z0-9][a-z0-9_-]*
	Title   string // as people read it
	HasLogo bool   // GET /logo/<name> answers with an image
	State   State
	// Account is the label of the connected account; may be empty.
	Account string
	// Partial reports that the grant covers less than the app needs.
	Partial bool
	// Actions are the forms to show. The label of one depends on the state.
	Actions []Action
}

// Outcome is how a flow or a form of the page has just ended, as the query of the
// page says it.
type Outcome struct {
	// Code is a [State], a code of a refusal, or empty. Unknown ones are shown as a
	// failure without particulars: anybody can write them into a link.
	Code string
	// Title is that of the source, as the catalogue has it; may be empty.
	Title string
}

// SourcesPage answers GET / with all sources, their states and their buttons.
type SourcesPage struct {
	Site
	// User is the app's user, as they know themselves, such as by an e-mail address:
	// who sits at a device on which somebody else is signed in has to notice.
	User    string
	Sources []Source
	Outcome Outcome
}

// ContinuePage answers the form POST /start/<source>, or opens a ticket, with one
// link to the vendor's page.
type ContinuePage struct {
	Site
	User  string // as in [SourcesPage]
	Title string // of the source
	// URL is the vendor's page: https, or http on loopback.
	URL string
	// Back is the page that the person has come from; empty if there is none.
	Back string
}

// ReturnPage goes on at once to a page of the same site, by itself or by its link. A
// browser that comes from another site brings no cookies with SameSite=Strict, also
// where it is redirected, and seems to be signed out; on the way from one page of the
// site to the next it brings them.
type ReturnPage struct {
	Site
	// URL is the next page: a path of this site, with its query.
	URL string
}

// ErrorPage answers a navigation or a form that was refused.
type ErrorPage struct {
	Site
	Outcome Outcome
	// Back is the page to begin anew on; empty if there is none.
	Back string
}

// Page is one of the pages of this package.
type Page interface {
	// template returns the name of the page's template.
	template() string
	// fill sets what the template renders besides the page itself.
	fill(v *view) error
}

func (*SourcesPage) template() string  { return "sources" }
func (*ContinuePage) template() string { return "continue" }
func (*ReturnPage) template() string   { return "return" }
func (*ErrorPage) template() string    { return "error" }

func (p *SourcesPage) fill(v *view) error {
	v.Site, v.Notice, v.title = p.Site, p.Outcome.notice(), "title"
	if p.Operator != "" {
		v.title, v.titleValues = "title_operator", []string{"operator", p.Operator}
	}
	return nil
}

// fill refuses an address that is no page on the web, such as one of a script. The
// template would defuse it, but leave the person with a dead link.
func (p *ContinuePage) fill(v *view) error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("connectpage: the vendor's page is no http or https URL") // not which: it has the flow's state
	}
	v.Site, v.Host, v.title, v.titleValues = p.Site, u.Host, "continue_title", []string{"source", p.Title}
	v.referrerPolicy = noReferrer // the address may have a ticket
	return nil
}

// fill refuses an address of another site, which could be anybody's.
func (p *ReturnPage) fill(v *view) error {
	if !strings.HasPrefix(p.URL, "/") || strings.HasPrefix(p.URL, "//") || strings.ContainsAny(p.URL, "\\ \t\r\n") {
		return errors.New("connectpage: the next page is no path of this site") // not which: it has a state
	}
	v.Site, v.title, v.referrerPolicy = p.Site, "return_title", noReferrer // the address has the state
	return nil
}

func (p *ErrorPage) fill(v *view) error {
	v.Site, v.Notice, v.title = p.Site, p.Outcome.notice(), "error_title"
	return nil
}
