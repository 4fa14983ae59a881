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

// Gate holds what every delegate directive needs to know who is asking.
type Gate struct {
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

	app          *App
	provider     *provider
	providerName any // as a placeholder's value
	logger       *zap.Logger
	learnt       *atomic.Pointer[aliases]   // whose sessions are known to be used by this name
	pattern      func(*http.Request) string // of the allow line that covers a request; nil: the directive has none
}

func (g *Gate) provision(ctx caddy.Context) error {
	var err error
	if g.app, g.provider, err = appProvider(ctx, g.Provider); err != nil {
		return err
	}
	return g.settle(ctx)
}

// settle checks what is the same for all directives.
func (g *Gate) settle(ctx caddy.Context) error {
	if g.Subject == "" {
		g.Subject = defaultSubject
	}
	if err := trustworthy(g.Subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if err := needsRealm(g.Subject, g.Realm); err != nil {
		return err
	}
	if strings.Contains(g.Realm, "{") {
		return fmt.Errorf("realm %s: write a fixed name, a realm takes no placeholder", g.Realm)
	}
	if g.ProxyStatusName == "" {
		g.ProxyStatusName = defaultStatusName
	}
	g.app.realms.add(g.Realm)
	g.learnt = new(atomic.Pointer[aliases])
	g.providerName = g.Provider
	g.logger = ctx.Logger()
	return nil
}

// person tells who is asking; a refusal if nobody is signed in.
func (g *Gate) person(r *http.Request, repl *caddy.Replacer) (delegation.Person, error) {
	in := g.signedIn(r, repl)
	if status := g.authStatus(repl); status != 0 && status/100 != 2 {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, fmt.Errorf("the auth server answered %d", status))
	}
	subject := in.valueOf(repl, g.Subject)
	if subject == "" {
		return delegation.Person{}, delegation.Refuse(delegation.SessionRequired, emptySubject(g.Subject, repl))
	}
	who := delegation.Person{Realm: g.Realm, Subject: subject}
	switch {
	case who.Realm != "":
	case in != nil:
		who.Realm = in.realm
	default:
		who.Realm = defaultRealm
		g.app.realms.defaulted.Store(true)
	}
	if in != nil {
		if err := in.good(r.Context(), who); err != nil {
			return delegation.Person{}, err
		}
		g.usedBy(in)
	}
	return who, nil
}

// authStatus is the status of the auth server's answer, if it is that which names
// the user; otherwise 0. With a handle_response of its own forward_auth lets pass
// what was not 2xx, such as a redirect to a login page: a name in its headers is
// nobody who is signed in.
func (g *Gate) authStatus(repl *caddy.Replacer) int {
	if !strings.HasPrefix(g.Subject, proxiedHeader) {
		return 0
	}
	return authStatus(repl)
}

// signedIn returns who app_session found signed in, if it is by that session
// that this gate knows the user: another authenticator may have run as well.
func (g *Gate) signedIn(r *http.Request, repl *caddy.Replacer) *signedIn {
	in, ok := r.Context().Value(signedInKey{}).(*signedIn)
	if !ok || !strings.HasPrefix(g.Subject, "{"+userPrefix) || valueOf(repl, defaultSubject) != in.session.Subject {
		return nil
	}
	return in
}

// claim is the value by which the session names the participant.
func (g *Gate) claim(r *http.Request, repl *caddy.Replacer, p delegation.Person) string {
	if g.provider.traits.Claim == "" {
		return p.Subject
	}
	return g.signedIn(r, repl).valueOf(repl, g.provider.traits.Claim)
}

// valueOf is a placeholder's value. What app_session's session says comes from
// there alone: an authenticator before it may have set others of its own, and
// the claims of one with the subject of another are somebody else's.
func (in *signedIn) valueOf(repl *caddy.Replacer, placeholder string) string {
	if name, ok := strings.CutPrefix(placeholder, "{"+userPrefix); ok && in != nil {
		return in.claim(strings.TrimSuffix(name, "}"))
	}
	return valueOf(repl, placeholder)
}

// valueOf is a placeholder's value, which is one placeholder and nothing else.
func valueOf(repl *caddy.Replacer, placeholder string) string {
	value, _ := repl.Get(placeholder[1 : len(placeholder)-1])
	return caddy.ToString(value)
}

// admit sets the CORS headers, answers preflights and refuses what a browser
// sent from another site. done means that the request was answered.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request, upgrade bool) (done bool, err error) {
	g.app.origins.Headers(w.Header(), r)
	if policy.IsPreflight(r) {
		if !g.app.origins.Preflight(w, r) {
			return true, delegation.Refuse(delegation.CrossOrigin, nil)
		}
		return true, nil
	}
	if refusal := policy.Early(r, upgrade); refusal != nil {
		return true, refusal
	}
	if refusal := policy.CheckWorker(r); refusal != nil {
		return true, refusal
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if in := g.signedIn(r, repl); in != nil && in.credential.Slot == session.InBearer {
		// No browser adds that by itself. It is the session that counts, not
		// whether there is such a header: beside a cookie it is not read.
		return false, nil
	}
	if refusal := g.app.origins.Check(r, upgrade); refusal != nil {
		return true, refusal
	}
	return false, nil
}

// isProgram tells whether somebody who is signed in asks by no page of a browser,
// as browsers send one of these with each WebSocket. It may learn of the policy
// what it would with an Origin.
func (g *Gate) isProgram(r *http.Request, repl *caddy.Replacer) bool {
	if len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 {
		return false
	}
	_, err := g.person(r, repl)
	return err == nil
}

// admitPublic is admit for a route that needs no session. Its preflights are
// admit's: nothing is sent without having been asked for as what it is.
func (g *Gate) admitPublic(w http.ResponseWriter, r *http.Request, upgrade bool) error {
	g.app.origins.Headers(w.Header(), r)
	if refusal := policy.Early(r, upgrade); refusal != nil {
		return refusal
	}
	if refusal := policy.CheckWorker(r); refusal != nil {
		return refusal
	}
	if refusal := g.app.origins.CheckPublic(r); refusal != nil {
		return refusal
	}
	return nil
}

// parse reads the subdirectives that all directives share. ok tells whether
// the current word was one of them.
func (g *Gate) parse(d *caddyfile.Dispenser) (ok bool, err error) {
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

// parseName reads the provider's name and checks what can be checked while
// there are still a file and a line to name.
func (g *Gate) parseName(d *caddyfile.Dispenser, providers map[string]struct{}) error {
	if !d.NextArg() {
		return d.Errf("%s needs the name of a provider", d.Val())
	}
	g.Provider = d.Val()
	if _, ok := providers[g.Provider]; !ok {
		return d.Errf("unknown provider %q: name one of the `provider` blocks in the global option `delegate`", g.Provider)
	}
	return nil
}

func (g *Gate) check(d *caddyfile.Dispenser) error {
	if g.Subject == "" {
		return nil
	}
	if err := trustworthy(g.Subject); err != nil {
		return d.Errf("subject: %v", err)
	}
	if err := needsRealm(g.Subject, g.Realm); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
