// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// answerPrefix is what the placeholders of an auth server's answer begin with,
// by which it names the user; proxiedHeader is that as it stands in a setting.
const (
	authResponsePrefix      = "http.reverse_proxy.header."
	authResponsePlaceholder = "{" + authResponsePrefix
)

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

// authServerStatus is what forward_auth's server has answered; 0 if it was not asked.
func authServerStatus(repl *caddy.Replacer) int {
	status, _ := repl.Get("http.reverse_proxy.status_code")
	code, _ := status.(int)
	return code
}

// emptySubjectError says why nobody is signed in, with the placeholder as a Caddyfile
// has it, and of what the auth server has sent the names alone.
func emptySubjectError(subject string, repl *caddy.Replacer) error {
	written := caddyfilePlaceholder(subject)
	header, ok := strings.CutPrefix(subject, authResponsePlaceholder)
	if !ok {
		return fmt.Errorf("%s is empty", written)
	}
	status := authServerStatus(repl)
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

// caddyfilePlaceholder is a placeholder as a Caddyfile has it.
func caddyfilePlaceholder(placeholder string) string {
	return strings.Replace(placeholder, authResponsePlaceholder, "{rp.header.", 1)
}

// authenticatorPrefixes are the placeholders that only an authenticator can set.
var authenticatorPrefixes = []string{userPrefix, authResponsePrefix}

// checkPlaceholder refuses a placeholder that repeats what a client sent. Taking
// the user's name from a request header is the commonest hole of homemade
// authenticators: anybody can send it.
func checkPlaceholder(placeholder string) error {
	name, ok := strings.CutPrefix(placeholder, "{")
	name, closed := strings.CutSuffix(name, "}")
	if ok && closed && !strings.ContainsAny(name, "{}") {
		for _, prefix := range authenticatorPrefixes {
			if len(name) > len(prefix) && strings.HasPrefix(name, prefix) {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is not set by an authenticator alone: use one placeholder {http.auth.user.…}, or {rp.header.…} for the answer of forward_auth's server", placeholder)
}

// checkClaimRealm refuses a claim for the subject whose values share a namespace with
// the sessions' own subjects: whose staff number is another user's ID would have
// that one's tokens dropped and sessions ended, and where a claim can be chosen,
// anybody's.
func checkClaimRealm(subject, realm string) error {
	claim, ok := strings.CutPrefix(subject, "{"+userPrefix)
	if !ok || realm != "" || claim == "id}" {
		return nil
	}
	return fmt.Errorf("subject %s: what one user is called by it may be the ID of another: add a realm of its own for these names, such as `realm %s`", subject, strings.TrimSuffix(claim, "}"))
}
