// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"embed"
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"initial": initial}).ParseFS(pageFiles, "pages/*.html"))

// initial returns what stands in place of a logo: the first character of a title.
func initial(title string) string {
	r, n := utf8.DecodeRuneInString(strings.TrimSpace(title))
	if n == 0 {
		return ""
	}
	return strings.ToUpper(string(r))
}

// view is what the templates render.
type view struct {
	Language *textLanguage
	Nonce    string
	Page     Page
	Site     Site
	Notice   *notice // nil: none
	Host     string  // of the vendor's page

	title          string // of the window: a key of a text
	titleValues    []string
	referrerPolicy string // empty: same-origin
}

// The policies of Referer. Under no-referrer the Origin of a form is null, and the form
// is refused: that is for pages without forms.
const sameOriginReferrer, noReferrer = "same-origin", "no-referrer"

// WindowTitle returns the title of the window. The outcome is its beginning, because
// screen readers read it first when a page has loaded.
func (v *view) WindowTitle() (string, error) {
	title, err := v.Plain(v.title, v.titleValues...)
	if err != nil || v.Notice == nil {
		return title, err
	}
	outcome, err := v.Plain(v.Notice.Key)
	if v.Notice.Title != "" {
		outcome = firstStrongIsolate + v.Notice.Title + popDirectionalIsolate + ": " + outcome
	}
	return outcome + " – " + title, err
}

// State returns how the person stands with the source, as they read it.
func (v *view) State(s Source) (template.HTML, error) {
	if s.State == StateConnected && s.Account != "" {
		return v.Say("state_connected_as", "account", s.Account)
	}
	return v.Say("state_" + string(s.State))
}

// Endpoint returns the first segment of a form's address.
func (v *view) Endpoint(a Action) string {
	if a == ActionUpdate {
		return "update"
	}
	return "start"
}

// Label returns the key of a button's text.
func (v *view) Label(s Source, a Action) string {
	switch {
	case s.State == StateUpdate:
		return "connect_again"
	case a == ActionUpdate:
		return "allow_more"
	case s.State == StatePending:
		return "start_again"
	default:
		return "connect"
	}
}

// Finished reports whether there is a connected source, so that the person has
// something to finish.
func (v *view) Finished() bool {
	page, ok := v.Page.(*SourcesPage)
	return ok && slices.ContainsFunc(page.Sources, func(s Source) bool { return s.State == StateConnected })
}

// SignInFirst reports whether the person has to sign in, and where is known.
func (v *view) SignInFirst() bool {
	page, ok := v.Page.(*ErrorPage)
	return ok && v.Site.SignIn != "" && page.Outcome.Code == string(delegation.SessionRequired)
}
