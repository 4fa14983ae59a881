// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// maxLogoutBody is the length of a back-channel request's body, in bytes: more than any
// logout token needs.
const maxLogoutBody = 64 << 10

// serveBackchannel answers an issuer's request (OpenID Connect Back-Channel Logout 1.0
// section 2.5 to 2.8), which has no session and comes from no browser.
func (l *Logout) serveBackchannel(w http.ResponseWriter, r *http.Request) error {
	headers.SetOwnHeaders(w.Header())
	if r.Method != http.MethodPost {
		return l.refuse(w, r, &delegation.Refusal{Code: delegation.MethodNotAllowed, Allow: []string{http.MethodPost}})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBody)
	token, err := l.logoutVerifier.Verify(r.Context(), r.PostFormValue("logout_token"))
	switch {
	case err == nil:
	case delegation.AsRefusal(err).Code == delegation.SessionUnavailable:
		return l.refuse(w, r, err) // the issuer may try again
	default:
		_ = l.recordRefusal(r, err) // for the log
		return writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
	}
	ctx := delegation.Detach(r.Context())
	// The realm of signed sessions is their issuer. That of other sessions, and of
	// tokens, may be a configured one.
	realms := []string{token.Issuer}
	if l.Realm != "" && l.Realm != token.Issuer {
		realms = append(realms, l.Realm)
	}
	for _, realm := range realms {
		targets, err := token.Revoke(l.app.revocations, realm)
		if err != nil {
			return l.refuse(w, r, err)
		}
		who := delegation.Person{Realm: realm, Subject: token.Subject}
		_ = l.app.publishRevocations(ctx, who.Subject == "" || l.app.logoutLimiter.Allow(who), targets...)
		if who.Subject != "" {
			l.app.dropTokens(ctx, who)
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// parseBackchannel reads the block, and records where its settings are written. They are
// checked with those of the directive.
func (l *Logout) parseBackchannel(d *caddyfile.Dispenser, written map[string]caddyfile.Dispenser) error {
	if l.Backchannel != nil || d.NextArg() {
		return d.Err("backchannel stands once, and takes a block alone")
	}
	l.Backchannel = new(SessionJWT)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		written[word] = *d
		if ok, err := l.Backchannel.parse(d); err != nil {
			return err
		} else if !ok || word == "type" {
			return d.Errf("unrecognized subdirective %q of backchannel", word)
		}
	}
	return nil
}
