// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// addressHeaders are the response headers that hold addresses.
var addressHeaders = [...]string{"Location", "Content-Location", "Link"}

// HasAddresses reports whether a response has headers that hold addresses.
func HasAddresses(h http.Header) bool {
	return len(h["Location"])+len(h["Content-Location"])+len(h["Link"]) > 0
}

// RemoveAddresses removes all headers that hold addresses.
func RemoveAddresses(h http.Header) {
	for _, name := range addressHeaders {
		delete(h, name)
	}
}

// Localize makes the addresses in a response's Location, Content-Location and
// Link ones of this server, and removes those that lead anywhere else.
//
// A redirect, a Location with a 3xx status, that leads to another host, or out of
// the platform's base path or the path that it is mounted at, is refused with
// upstream_redirected: the browser would follow it with whatever its path holds,
// or as the app's own user.
func (m Mount) Localize(h http.Header, status int) error {
	for _, name := range [...]string{"Location", "Content-Location"} {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		if len(values) == 1 {
			if local, ok := m.LocalURL(values[0]); ok {
				values[0] = local
				continue
			}
		}
		if name == "Location" && status/100 == 3 {
			return delegation.Refuse(delegation.UpstreamRedirected, nil)
		}
		delete(h, name) // nobody is led there: the address of what was created
	}
	m.LocalizeLinks(h)
	return nil
}

// LocalizeLinks is Localize for Link alone, as informational responses have it.
func (m Mount) LocalizeLinks(h http.Header) {
	links, ok := h["Link"]
	if !ok {
		return
	}
	if links = m.LocalLinks(links); len(links) == 0 {
		delete(h, "Link")
		return
	}
	h["Link"] = links
}
