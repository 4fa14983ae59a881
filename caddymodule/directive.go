// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// Directive holds what the delegate directives have in common: by what they know
// the signed-in user, and how they refuse.
type Directive struct {
	SubjectSettings

	app      *App
	logger   *zap.Logger
	refusals refuser
}

// ProviderDirective is a [Directive] for one provider.
type ProviderDirective struct {
	// Provider is the name of a provider of the delegate app. Required.
	Provider string `json:"provider,omitempty"`

	Directive

	provider     *provider
	providerName any // Provider as a placeholder's value: as a string it would be allocated anew for every request
}

// provision finds the provider and checks the settings.
func (d *ProviderDirective) provision(ctx caddy.Context) error {
	app, p, err := appProvider(ctx, d.Provider)
	if err != nil {
		return err
	}
	return d.attach(app, p, ctx.Logger())
}

func (d *ProviderDirective) attach(app *App, p *provider, logger *zap.Logger) error {
	d.provider, d.providerName = p, d.Provider
	if err := d.Directive.attach(app, logger); err != nil {
		return err
	}
	d.refusals.provider, d.refusals.stats, d.refusals.subjects = d.Provider, p.refusals, p.subjectFields
	d.refusals.authServer = strings.HasPrefix(d.Subject, authResponsePlaceholder)
	return nil
}

// attach checks the settings and makes the directive one of the app's. Without a
// provider its refusals are the app's, too.
func (d *Directive) attach(app *App, logger *zap.Logger) error {
	d.app, d.logger = app, logger
	d.refusals = refuser{statusName: structuredName(app.ProxyStatusName), logger: logger, stats: app.refusals}
	return d.SubjectSettings.provision(app.realmNames)
}

// checkOrigin judges where a request comes from. user is what signedInUser has
// found.
func (d *Directive) checkOrigin(w http.ResponseWriter, r *http.Request, upgrade bool, user *signedInUser) admission {
	return checkOrigin(d.app.origins, w, r, upgrade, user)
}

// refuse answers a request with err's refusal.
func (d *Directive) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	return d.refusals.refuse(w, d.refusedRequest(r), err)
}

// recordRefusal counts and logs err's refusal of a request that has another
// response.
func (d *Directive) recordRefusal(r *http.Request, err error) *delegation.Refusal {
	return d.refusals.record(d.refusedRequest(r), err)
}

// refusedRequest is a request as its refusal knows it.
func (d *Directive) refusedRequest(r *http.Request) refusedRequest {
	method, _ := policy.WireMethod(r)
	return refusedRequest{Request: r, method: method, person: func() delegation.Person { return d.knownPerson(r) }}
}

// participantClaim is the value by which the session names the participant.
func (d *ProviderDirective) participantClaim(repl *caddy.Replacer, user *signedInUser, who delegation.Person) string {
	if d.provider.traits.Claim == "" {
		return who.Subject
	}
	return placeholderValue(repl, user, d.provider.traits.Claim)
}

// parseProviderName reads the provider's name and checks what can be checked
// while there are still a file and a line to name.
func (d *ProviderDirective) parseProviderName(disp *caddyfile.Dispenser, providers map[string]struct{}) error {
	if !disp.NextArg() {
		return disp.Errf("%s needs the name of a provider", disp.Val())
	}
	d.Provider = disp.Val()
	if _, ok := providers[d.Provider]; !ok {
		return disp.Errf("unknown provider %q: name one of the `provider` blocks in the global option `delegate`", d.Provider)
	}
	return nil
}

// parseCommon reads the subdirectives that all directives share. ok is false if
// the current word is none of them.
func (d *Directive) parseCommon(disp *caddyfile.Dispenser) (ok bool, err error) {
	switch disp.Val() {
	case "subject":
		return true, parseOnce(disp, &d.Subject)
	case "realm":
		return true, parseOnce(disp, &d.Realm)
	case "proxy_status_name":
		return true, errStatusNameMoved(disp)
	default:
		return false, nil
	}
}

// errStatusNameMoved refuses a setting that once stood in each directive.
func errStatusNameMoved(d *caddyfile.Dispenser) error {
	return d.Err("proxy_status_name is a setting of the global option delegate, for all directives: move it there, `delegate { proxy_status_name <name> }`")
}

// optionProviders returns the names of the providers in the global options of a
// Caddyfile.
func optionProviders(h httpcaddyfile.Helper) map[string]struct{} {
	names := make(map[string]struct{})
	for name := range optionApp(h).ProvidersRaw {
		names[name] = struct{}{}
	}
	return names
}

// optionOrigins returns the trusted origins in the global options of a Caddyfile.
func optionOrigins(h httpcaddyfile.Helper) []string { return optionApp(h).TrustedOrigins }

// optionApp returns the app as the global options of a Caddyfile have it; an empty
// one if they do not.
func optionApp(h httpcaddyfile.Helper) (app App) {
	if option, ok := h.Option("delegate").(httpcaddyfile.App); ok {
		if json.Unmarshal(option.Value, &app) != nil {
			return App{}
		}
	}
	return app
}
