// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxOriginPrinted bounds what of a stranger's header is logged.
const maxOriginPrinted = 100

// otherHost adds to the cause of a refusal by Origin the two hosts that were
// compared. A proxy in front of this server that changes Host makes the app's
// own pages look like another site's, and nothing else shows that it does.
func otherHost(cause error, r *http.Request) error {
	origin := r.Header["Origin"]
	if len(origin) != 1 {
		return cause
	}
	u, err := url.Parse(origin[0])
	if err != nil || u.Host == "" || strings.EqualFold(u.Host, r.Host) {
		return cause
	}
	return fmt.Errorf("%w: Origin is %s, and the request's Host is %s; if that page is of this site, the proxy in front has to pass Host on as it came",
		cause, delegation.Printable(origin[0], maxOriginPrinted), delegation.Printable(r.Host, maxOriginPrinted))
}
