// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connectpage"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// servesAsset reports whether an endpoint is a script, the style sheet, or the logo
// of the request's source.
func (v *connectRequest) servesAsset(endpoint string) bool {
	switch endpoint {
	case scriptPath, pageScriptPath, styleSheetPath:
		return v.source == nil
	case logoPath:
		return v.source != nil && len(v.source.Logo) > 0
	default:
		return false
	}
}

// serveAsset serves it to whoever asks: nothing in it is secret.
func (v *connectRequest) serveAsset(endpoint string) error {
	if err := checkAssetRequest(v.r); err != nil {
		return v.refuse(err)
	}
	if endpoint == logoPath {
		connectpage.ServeLogo(v.w, v.r, v.source.Logo, v.source.LogoType)
	} else {
		connectpage.ServeAsset(v.w, v.r, endpoint)
	}
	countRequest(v.Provider, v.sourceName(), outcomeAnswered)
	return nil
}

// checkAssetRequest refuses a request for a script or an image that is none of a
// page: for a service worker, which would answer for the app, and to change something.
func checkAssetRequest(r *http.Request) error {
	if refusal := policy.CheckServiceWorker(r); refusal != nil {
		return refusal
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refusal := delegation.Refuse(delegation.MethodNotAllowed, nil)
		refusal.Allow = []string{http.MethodGet, http.MethodHead}
		return refusal
	}
	return nil
}
