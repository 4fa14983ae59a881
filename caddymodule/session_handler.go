// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

func init() {
	caddy.RegisterModule(AppSession{})
	httpcaddyfile.RegisterHandlerDirective("app_session", parseSession)
}

// AppSession verifies the session of a request, for apps that have a login of their own.
// A request without a valid session is refused with session_required. With one, these
// placeholders name the user:
//
// Placeholder | Description
// ------------|-------------
// `{http.auth.user.id}` | The subject
// `{http.auth.user.<claim>}` | What else the session says: a string, a number, true or false; `<name>.<name>` for one in an object
//
// The session's issuer is the realm of the subject, see `realm` of the delegate
// directives. Preflights, which browsers send without a session, are answered here.
type AppSession struct {
	// Cookie is the name of the cookie that holds the session, or `Bearer` and the
	// session. Where it is missing, its pieces <name>.0, <name>.1 and so on are
	// joined. A name that begins with `__Host-` keeps subdomains from setting it.
	// Default: none.
	Cookie string `json:"cookie,omitempty"`

	// CookieJSON is the member of the session in a cookie whose value is a JSON object,
	// in base64url behind `base64-` or percent-encoded: `access_token` for
	// Supabase. Default: the cookie's value is the session.
	CookieJSON string `json:"cookie_json,omitempty"`

	// Bearer is whether a session may be sent as `Authorization: Bearer`, for apps that
	// have no cookies. Where there is the cookie, it is not read. Default: no.
	Bearer bool `json:"bearer,omitempty"`

	// JWT verifies sessions that are signed JSON Web Tokens. One of JWT, Introspect and
	// SessionEndpoint is required.
	JWT *SessionJWT `json:"jwt,omitempty"`

	// Introspect verifies sessions by asking their issuer.
	Introspect *Introspect `json:"introspect,omitempty"`

	// SessionEndpoint verifies sessions by asking the app.
	SessionEndpoint *SessionEndpoint `json:"session_endpoint,omitempty"`

	// Optional lets requests without a valid session pass, with nobody signed in: the
	// delegate directives refuse them where they have to. It is for a logout, which has
	// to work for an ended session too, and for public routes. Any other handler behind
	// has to look at {http.auth.user.id} itself. Default: they are refused.
	Optional bool `json:"optional,omitempty"`

	// Realm is the namespace of the subjects. Default: the session's issuer.
	Realm string `json:"realm,omitempty"`

	// HTTP is how the issuer or app is reached. Default: directly.
	HTTP *HTTP `json:"http,omitempty"`

	// InsecureHTTP allows http to other hosts than this one, for jwks, introspect and
	// session_endpoint: inside a network where nobody else listens. Whoever does can
	// read sessions, or sign in as anybody. A warning is logged at load. Default: https,
	// or http on loopback.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	extractor        session.Extractor
	verifier         session.Verifier
	directive        Directive
	aliases          *aliases
	refs             poolRefs
	settingPositions map[string]caddyfile.Dispenser // where settings are written in the Caddyfile
}

// CaddyModule returns the Caddy module information.
func (AppSession) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.app_session",
		New: func() caddy.Module { return new(AppSession) },
	}
}

// Provision expands the settings and parses the keys. It makes no request.
func (s *AppSession) Provision(ctx caddy.Context) error {
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.directive.attach(app, ctx.Logger()); err != nil {
		return err
	}
	s.extractor = session.Extractor{Cookie: s.Cookie, Bearer: s.Bearer, JSONPath: s.CookieJSON}
	if !s.extractor.HostBound() {
		s.directive.logger.Warn("a subdomain or a page without TLS can set this cookie for your users: name it __Host-…", zap.String("cookie", s.Cookie))
	}
	kind, err := s.verifierConfig()
	if err != nil {
		return err
	}
	if s.verifier, err = kind.provision(s, app.revocations); err != nil {
		return err
	}
	app.findHTTPApp(ctx)
	s.aliases = app.aliases.aliasesOf(s.namespace())
	if s.Realm != "" {
		s.aliases.add(session.Alias{Realm: s.Realm, Claim: "id"})
	}
	if s.JWT != nil {
		if alias, ok := s.JWT.issuerAlias(); ok {
			s.aliases.add(alias)
		}
	}
	return nil
}

// Cleanup releases what reloads share.
func (s *AppSession) Cleanup() error {
	return s.refs.release()
}

// parseSession reads:
//
//	app_session [<matcher>] {
//	    cookie      <name>                 # and, or
//	    cookie_json <path>
//	    bearer
//	    jwks        <url>                  # one of these five
//	    public_key  <pem>                  # may stand again
//	    hmac_secret <secret>               # twice during rotation
//	    introspect <url> {
//	        ...
//	    }
//	    session_endpoint <url> {
//	        ...
//	    }
//	    issuer         <name>              # with the first three
//	    audience       <names...>
//	    audience_claim <claim>
//	    subject_claim  <claim>
//	    lifetime       <duration>
//	    algorithms     <names...>
//	    type           <name>
//	    optional
//	    realm       <name>
//	    insecure_http
//	    http {
//	        proxy   <url>
//	        ca_file <file>
//	        timeout <duration>
//	    }
//	}
func parseSession(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var s AppSession
	d := h.Dispenser
	d.Next() // directive name
	if d.NextArg() {
		return nil, d.Errf("app_session takes a block, not %q", d.Val())
	}
	for d.NextBlock(0) {
		if err := s.parse(d); err != nil {
			return nil, err
		}
	}
	if err := s.checkLiteralAddresses(); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, d.WrapErr(err)
	}
	return &s, nil
}

// parse reads one subdirective, and records where it is written.
func (s *AppSession) parse(d *caddyfile.Dispenser) error {
	word := d.Val()
	if s.settingPositions == nil {
		s.settingPositions = make(map[string]caddyfile.Dispenser)
	}
	s.settingPositions[word] = *d
	switch word {
	case "cookie":
		return parseOnce(d, &s.Cookie)
	case "cookie_json":
		return parseOnce(d, &s.CookieJSON)
	case "bearer":
		return parseFlag(d, &s.Bearer)
	case "optional":
		return parseFlag(d, &s.Optional)
	case "realm":
		return parseOnce(d, &s.Realm)
	case "insecure_http":
		return parseFlag(d, &s.InsecureHTTP)
	case "http":
		return parseHTTP(d, &s.HTTP)
	case "proxy_status_name":
		return errStatusNameMoved(d)
	case "introspect":
		if s.Introspect != nil {
			return d.Err("introspect is set already")
		}
		var err error
		s.Introspect, err = parseIntrospect(d)
		return err
	case "session_endpoint":
		if s.SessionEndpoint != nil {
			return d.Err("session_endpoint is set already")
		}
		var err error
		s.SessionEndpoint, err = parseEndpoint(d)
		return err
	default:
		jwt := s.JWT
		if jwt == nil {
			jwt = new(SessionJWT)
		}
		ok, err := jwt.parse(d)
		if !ok && err == nil {
			return d.Errf("unrecognized subdirective %q of app_session", word)
		}
		s.JWT = jwt
		return err
	}
}

// check returns an error for what is wrong before placeholders are expanded. Provision
// makes it as well, because JSON comes without the Caddyfile adapter.
func (s *AppSession) check() error {
	if err := s.checkExtractor(); err != nil {
		return err
	}
	if strings.Contains(s.Realm, "{") {
		return fmt.Errorf("realm %s: write a fixed name, a realm takes no placeholder", s.Realm)
	}
	kind, err := s.verifierConfig()
	if err == nil {
		err = kind.check()
	}
	if err == nil && s.JWT != nil {
		if err = s.JWT.checkBinding(s.Realm); err == nil {
			err = s.JWT.checkHTTP(s.HTTP, s.InsecureHTTP)
		}
	}
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*AppSession)(nil)
	_ caddy.CleanerUpper          = (*AppSession)(nil)
	_ caddyhttp.MiddlewareHandler = (*AppSession)(nil)
)
