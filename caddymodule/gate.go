// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

const (
	defaultSubject = "{http.auth.user.id}"
	defaultRealm   = "default"

	defaultStatusName = "caddy-delegate"
)

// Directive holds what every delegate directive needs to know who is asking.
type Directive struct {
	// Provider is the name of a provider of the delegate app. Required, except
	// for delegate_logout, which is about all of them.
	Provider string `json:"provider,omitempty"`

	// Subject is the placeholder that names the signed-in user. It must be one
	// that only an authenticator sets: {http.auth.user.*}, or
	// {http.reverse_proxy.header.*} for the answer of forward_auth's server.
	// Empty at request time means that nobody is signed in.
	// Default: `{http.auth.user.id}`.
	Subject string `json:"subject,omitempty"`

	// Realm is the namespace of the subjects: users of two authenticators may
	// have the same name. Default: that of app_session where it named the user,
	// otherwise `default`.
	Realm string `json:"realm,omitempty"`

	// ProxyStatusName is how this proxy calls itself in the Proxy-Status
	// header of refusals (RFC 9209). Default: `caddy-delegate`.
	ProxyStatusName string `json:"proxy_status_name,omitempty"`

	app             *App
	provider        *provider
	providerName    any // as a placeholder's value
	logger          *zap.Logger
	recordedAliases *atomic.Pointer[aliases]   // whose sessions are known to be used by this name
	routePattern    func(*http.Request) string // of the allow line that covers a request; nil: the directive has none
}

func (g *Directive) provision(ctx caddy.Context) error {
	var err error
	if g.app, g.provider, err = appProvider(ctx, g.Provider); err != nil {
		return err
	}
	return g.provisionCommon(ctx)
}

// provisionCommon checks what is the same for all directives.
func (g *Directive) provisionCommon(ctx caddy.Context) error {
	if g.Subject == "" {
		g.Subject = defaultSubject
	}
	if err := checkPlaceholder(g.Subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if err := checkClaimRealm(g.Subject, g.Realm); err != nil {
		return err
	}
	if strings.Contains(g.Realm, "{") {
		return fmt.Errorf("realm %s: write a fixed name, a realm takes no placeholder", g.Realm)
	}
	if g.ProxyStatusName == "" {
		g.ProxyStatusName = defaultStatusName
	}
	g.app.realmNames.add(g.Realm)
	g.recordedAliases = new(atomic.Pointer[aliases])
	g.providerName = g.Provider
	g.logger = ctx.Logger()
	return nil
}

// person tells who is asking; a refusal if nobody is signed in.
func (g *Directive) person(r *http.Request, repl *caddy.Replacer) (delegation.Person, error) {
	in := g.signedIn(r, repl)
	if status := g.forwardAuthStatus(repl); status != 0 && status/100 != 2 {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, fmt.Errorf("the auth server answered %d", status))
	}
	subject := in.placeholderValue(repl, g.Subject)
	if subject == "" {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, emptySubjectError(g.Subject, repl))
	}
	who := delegation.Person{Realm: g.Realm, Subject: subject}
	switch {
	case who.Realm != "":
	case in != nil:
		who.Realm = in.realm
	default:
		who.Realm = defaultRealm
		g.app.realmNames.usedDefault.Store(true)
	}
	if in != nil {
		if err := in.checkNotRevoked(r.Context(), who); err != nil {
			return delegation.Person{}, err
		}
		g.recordAlias(in)
	}
	return who, nil
}

// forwardAuthStatus is the status of the auth server's answer, if it is that which names
// the user; otherwise 0. With a handle_response of its own forward_auth lets pass
// what was not 2xx, such as a redirect to a login page: a name in its headers is
// nobody who is signed in.
func (g *Directive) forwardAuthStatus(repl *caddy.Replacer) int {
	if !strings.HasPrefix(g.Subject, authResponsePlaceholder) {
		return 0
	}
	return authServerStatus(repl)
}

// signedIn returns who app_session found signed in, if it is by that session
// that this gate knows the user: another authenticator may have run as well.
func (g *Directive) signedIn(r *http.Request, repl *caddy.Replacer) *signedInUser {
	in, ok := r.Context().Value(signedInUserKey{}).(*signedInUser)
	if !ok || !strings.HasPrefix(g.Subject, "{"+userPrefix) || placeholderValue(repl, defaultSubject) != in.session.Subject {
		return nil
	}
	return in
}

// participantClaim is the value by which the session names the participant.
func (g *Directive) participantClaim(r *http.Request, repl *caddy.Replacer, p delegation.Person) string {
	if g.provider.traits.Claim == "" {
		return p.Subject
	}
	return g.signedIn(r, repl).placeholderValue(repl, g.provider.traits.Claim)
}

// placeholderValue is a placeholder's value. What app_session's session says comes from
// there alone: an authenticator before it may have set others of its own, and
// the claims of one with the subject of another are somebody else's.
func (in *signedInUser) placeholderValue(repl *caddy.Replacer, placeholder string) string {
	if name, ok := strings.CutPrefix(placeholder, "{"+userPrefix); ok && in != nil {
		return in.claim(strings.TrimSuffix(name, "}"))
	}
	return placeholderValue(repl, placeholder)
}

// placeholderValue is a placeholder's value, which is one placeholder and nothing else.
func placeholderValue(repl *caddy.Replacer, placeholder string) string {
	value, _ := repl.Get(placeholder[1 : len(placeholder)-1])
	return caddy.ToString(value)
}

// checkOrigin sets the CORS headers, answers preflights and refuses what a browser
// sent from another site. done means that the request was answered.
func (g *Directive) checkOrigin(w http.ResponseWriter, r *http.Request, upgrade bool) (done bool, err error) {
	g.app.origins.SetCORSHeaders(w.Header(), r)
	if policy.IsPreflight(r) {
		if !g.app.origins.AnswerPreflight(w, r) {
			return true, delegation.Refuse(delegation.CrossOrigin, nil)
		}
		return true, nil
	}
	if refusal := policy.CheckEarlyData(r, upgrade); refusal != nil {
		return true, refusal
	}
	if refusal := policy.CheckServiceWorker(r); refusal != nil {
		return true, refusal
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if in := g.signedIn(r, repl); in != nil && in.credential.Source == session.InBearer {
		// No browser adds that by itself. It is the session that counts, not
		// whether there is such a header: beside a cookie it is not read.
		return false, nil
	}
	if refusal := g.app.origins.Check(r, upgrade); refusal != nil {
		return true, refusal
	}
	return false, nil
}

// isNonBrowserClient tells whether somebody who is signed in asks by no page of a browser,
// as browsers send one of these with each WebSocket. It may learn of the policy
// what it would with an Origin.
func (g *Directive) isNonBrowserClient(r *http.Request, repl *caddy.Replacer) bool {
	if len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 {
		return false
	}
	_, err := g.person(r, repl)
	return err == nil
}

// checkPublicOrigin is admit for a route that needs no session. Its preflights are
// admit's: nothing is sent without having been asked for as what it is.
func (g *Directive) checkPublicOrigin(w http.ResponseWriter, r *http.Request, upgrade bool) error {
	g.app.origins.SetCORSHeaders(w.Header(), r)
	if refusal := policy.CheckEarlyData(r, upgrade); refusal != nil {
		return refusal
	}
	if refusal := policy.CheckServiceWorker(r); refusal != nil {
		return refusal
	}
	if refusal := g.app.origins.CheckPublic(r); refusal != nil {
		return refusal
	}
	return nil
}

// parseCommon reads the subdirectives that all directives share. ok tells whether
// the current word was one of them.
func (g *Directive) parseCommon(d *caddyfile.Dispenser) (ok bool, err error) {
	switch d.Val() {
	case "subject":
		return true, parseOnce(d, &g.Subject)
	case "realm":
		return true, parseOnce(d, &g.Realm)
	case "proxy_status_name":
		return true, parseOnce(d, &g.ProxyStatusName)
	default:
		return false, nil
	}
}

// parseProviderName reads the provider's name and checks what can be checked while
// there are still a file and a line to name.
func (g *Directive) parseProviderName(d *caddyfile.Dispenser, providers map[string]struct{}) error {
	if !d.NextArg() {
		return d.Errf("%s needs the name of a provider", d.Val())
	}
	g.Provider = d.Val()
	if _, ok := providers[g.Provider]; !ok {
		return d.Errf("unknown provider %q: name one of the `provider` blocks in the global option `delegate`", g.Provider)
	}
	return nil
}

func (g *Directive) checkCommon(d *caddyfile.Dispenser) error {
	if g.Subject == "" {
		return nil
	}
	if err := checkPlaceholder(g.Subject); err != nil {
		return d.Errf("subject: %v", err)
	}
	if err := checkClaimRealm(g.Subject, g.Realm); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
