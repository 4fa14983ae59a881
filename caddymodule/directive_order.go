// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// The order of the directives in a site. All of it is here, since of two at one
// place Caddy puts the one first that was registered later behind it, or earlier
// before it, and in several files their names would decide.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("app_session", httpcaddyfile.Before, "basic_auth")

	// delegate_logout runs before delegate: a route policy that does not cover the
	// app's own logout must not keep a user signed in.
	httpcaddyfile.RegisterDirectiveOrder("delegate", httpcaddyfile.After, "request_header")
	httpcaddyfile.RegisterDirectiveOrder("delegate_logout", httpcaddyfile.After, "request_header")

	httpcaddyfile.RegisterDirectiveOrder("delegate_connect", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("delegate_proxy", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterDirectiveOrder("delegate_token", httpcaddyfile.Before, "reverse_proxy")
}
