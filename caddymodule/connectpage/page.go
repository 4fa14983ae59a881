// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"net/http"
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
}

// ClosingPage ends a flow in a window of its own, which it closes.
type ClosingPage struct {
	Site
	Outcome Outcome
}

// ErrorPage answers a navigation or a form that was refused.
type ErrorPage struct {
	Site
	Outcome Outcome
}

// Page is one of the pages of this package.
type Page interface {
	// template returns the name of the page's template.
	template() string
}

func (*SourcesPage) template() string  { return "sources" }
func (*ContinuePage) template() string { return "continue" }
func (*ClosingPage) template() string  { return "closing" }
func (*ErrorPage) template() string    { return "error" }

// Write answers the request with the page, in the language that fits its
// Accept-Language. It sets all headers but those of headers.SetOwnHeaders. Nothing is
// written if it returns an error, which is a fault of the page's fields.
func Write(w http.ResponseWriter, r *http.Request, status int, page Page) error {
	_, _, _, _ = w, r, status, page.template()
	return nil
}

// ServeAsset answers GET and HEAD of /connect.js, /page.js and /style.css, and
// reports whether path is one of them. There is nothing secret in them: they are for
// whoever asks.
func ServeAsset(w http.ResponseWriter, r *http.Request, path string) bool {
	_, _, _ = w, r, path
	return false
}

// ServeLogo answers GET and HEAD of /logo/<source>. kind is image/svg+xml,
// image/png, image/jpeg or image/webp.
func ServeLogo(w http.ResponseWriter, r *http.Request, logo []byte, kind string) {
	_, _, _, _ = w, r, logo, kind
}
