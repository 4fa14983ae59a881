// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// proxiedHeader is the prefix of the placeholders by which forward_auth's server
// names the user.
const proxiedHeader = "{http.reverse_proxy.header."

// identityHeaders are those by which auth servers name a user, as their
// documentation has it. A placeholder can be asked for by its name alone: so
// these are what the log can tell that the server has sent.
var identityHeaders = []string{
	"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", // Authelia
	"X-Authentik-Username", "X-Authentik-Uid", "X-Authentik-Email", // Authentik
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Preferred-Username", // oauth2-proxy
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username",
	"X-Vouch-User", "X-Vouch-Idp-Claims-Sub", // Vouch
	"X-Token-Subject", "X-Token-User-Email", "X-Token-User-Name", // caddy-security
	"X-Remote-User", "X-Auth-User", "X-User", "X-User-Id", "X-User-Email", "User-Id", "X-Subject", "X-Webauth-User", "Tailscale-User",
}

// authStatus is what forward_auth's server has answered; 0 if it was not asked.
func authStatus(repl *caddy.Replacer) int {
	status, _ := repl.Get("http.reverse_proxy.status_code")
	code, _ := status.(int)
	return code
}

// emptySubject says why nobody is signed in, with the placeholder as a Caddyfile
// has it, and of what the auth server has sent the names alone.
func emptySubject(subject string, repl *caddy.Replacer) error {
	written := asWritten(subject)
	header, ok := strings.CutPrefix(subject, proxiedHeader)
	if !ok {
		return fmt.Errorf("%s is empty", written)
	}
	status := authStatus(repl)
	if status == 0 {
		return fmt.Errorf("%s is empty: no forward_auth was asked before this directive", written)
	}
	var sent []string
	for _, name := range identityHeaders {
		if value, found := repl.GetString("http.reverse_proxy.header." + name); found && value != "" {
			sent = append(sent, name)
		}
	}
	cause := fmt.Sprintf("%s is empty: the auth server has answered with status %d and without %s", written, status, http.CanonicalHeaderKey(strings.TrimSuffix(header, "}")))
	if len(sent) > 0 {
		cause += ", but with " + strings.Join(sent, ", ")
	}
	return errors.New(cause)
}

// asWritten is a placeholder as a Caddyfile has it.
func asWritten(placeholder string) string {
	return strings.Replace(placeholder, proxiedHeader, "{rp.header.", 1)
}
