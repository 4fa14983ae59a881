// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	v1 = "/api/v1/delegated"
	v2 = "/api/v2/delegated"
)

// defaultRoutes returns the route policy of a directive without `allow` lines: what
// the platform's SDKs use a participant token for. It leaves out every deletion,
// and PUT participant, by which a participant could write the custom field that
// says who they are. Public routes come first: the first match decides.
func defaultRoutes() []delegation.Route {
	on := func(pattern string, methods ...string) delegation.Route {
		return delegation.Route{Methods: methods, Pattern: pattern}
	}
	public := func(pattern string) delegation.Route {
		return delegation.Route{Methods: []string{http.MethodGet}, Pattern: pattern, Public: true}
	}
	return []delegation.Route{
		public(v1 + "/externalaccountproviders/*/logo"), // loaded by <img>, without a token
		public("/api/v1/public/projects/*/views/*"),

		on(v1+"/**", http.MethodGet),
		on(v2+"/**", http.MethodGet),

		on(v1+"/customevents", http.MethodPost),
		on(v1+"/custom/*", http.MethodPost, http.MethodPut), // the project's own APIs
		on(v1+"/devicedata", http.MethodPost),
		on(v1+"/externalaccountproviders/*/connect", http.MethodPost),
		on(v1+"/externalaccounts/refresh/*", http.MethodPost),
		on(v1+"/files", http.MethodPost),
		on(v1+"/inbox/*/markRead", http.MethodPut),
	}
}
