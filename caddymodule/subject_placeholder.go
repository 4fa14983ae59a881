// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// authResponsePrefix is what the placeholders of an auth server's response begin
// with, by which it names the user; authResponsePlaceholder is that as it stands
// in a setting.
const (
	authResponsePrefix      = "http.reverse_proxy.header."
	authResponsePlaceholder = "{" + authResponsePrefix
)

// identityHeaders are the response headers by which auth servers name a user, as
// their documentation has them. The replacer finds a placeholder by its name alone,
// so that the log can say of no other header that the server has sent it.
var identityHeaders = []string{
	"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", // Authelia
	"X-Authentik-Username", "X-Authentik-Uid", "X-Authentik-Email", // Authentik
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Preferred-Username", // oauth2-proxy
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Preferred-Username",
	"X-Vouch-User", "X-Vouch-Idp-Claims-Sub", // Vouch
	"X-Token-Subject", "X-Token-User-Email", "X-Token-User-Name", // caddy-security
	"X-Remote-User", "X-Auth-User", "X-User", "X-User-Id", "X-User-Email", "User-Id", "X-Subject", "X-Webauth-User", "Tailscale-User",
}

// placeholderValue returns the value of a setting that is one placeholder and nothing
// else. What app_session's session says comes from user alone, if that is not nil:
// an authenticator before it may have set others of its own, and the claims of
// one with the subject of another are somebody else's.
func placeholderValue(repl *caddy.Replacer, user *signedInUser, placeholder string) string {
	if name, ok := strings.CutPrefix(placeholder, "{"+userPrefix); ok && user != nil {
		return user.claim(strings.TrimSuffix(name, "}"))
	}
	value, _ := repl.Get(placeholder[1 : len(placeholder)-1])
	return caddy.ToString(value)
}

// authServerStatus returns the status of the response of forward_auth's server; 0
// if it was not asked.
func authServerStatus(repl *caddy.Replacer) int {
	status, _ := repl.Get("http.reverse_proxy.status_code")
	code, _ := status.(int)
	return code
}

// emptySubjectError returns why nobody is signed in, for the log: with the
// placeholder as a Caddyfile has it, and the names, never the values, of the headers
// that the auth server has sent.
func emptySubjectError(subject string, repl *caddy.Replacer) error {
	written := caddyfilePlaceholder(subject)
	header, ok := strings.CutPrefix(subject, authResponsePlaceholder)
	if !ok {
		return fmt.Errorf("%s is empty", written)
	}
	status := authServerStatus(repl)
	if status == 0 {
		return fmt.Errorf("%s is empty: no forward_auth was asked: its matcher names the prefix that handle_path has taken off, or it stands behind, or is missing", written)
	}
	var sent []string
	for _, name := range identityHeaders {
		if value, found := repl.GetString("http.reverse_proxy.header." + name); found && value != "" {
			sent = append(sent, name)
		}
	}
	cause := fmt.Sprintf("%s is empty: the auth server answered %d without %s", written, status, http.CanonicalHeaderKey(strings.TrimSuffix(header, "}")))
	if len(sent) > 0 {
		cause += ", but with " + strings.Join(sent, ", ")
	}
	return errors.New(cause)
}

// caddyfilePlaceholder returns a placeholder as a Caddyfile has it.
func caddyfilePlaceholder(placeholder string) string {
	return strings.Replace(placeholder, authResponsePlaceholder, "{rp.header.", 1)
}

// authenticatorPrefixes are what the placeholders begin with that only an
// authenticator can set.
var authenticatorPrefixes = []string{userPrefix, authResponsePrefix}

// checkPlaceholder returns an error for a placeholder that may repeat what a client
// sent. Taking the user's name from a request header is the commonest hole of
// homemade authenticators: anybody can send it.
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

// checkClaimRealm returns an error for a subject by another claim than the session's
// own without a realm of its own. Its values would share a namespace with the
// sessions' subjects: a user whose staff number is another user's ID would have that
// user's tokens dropped and sessions ended, and where users choose the claim,
// anybody's.
func checkClaimRealm(subject, realm string) error {
	claim, ok := strings.CutPrefix(subject, "{"+userPrefix)
	if !ok || realm != "" || claim == "id}" {
		return nil
	}
	return fmt.Errorf("subject %s: what one user is called by it may be the ID of another: add a realm of its own for these names, such as `realm %s`", subject, strings.TrimSuffix(claim, "}"))
}
