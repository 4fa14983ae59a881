// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // connect.js
	"encoding/hex"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// scriptPath is where connect.js is served.
const scriptPath = "/connect.js"

//go:embed connect.js
var connectScript []byte

// connectScriptTag is the entity tag of connect.js (RFC 9110 section 8.8.3).
var connectScriptTag = func() string {
	sum := sha256.Sum256(connectScript)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}()

// serveScript serves connect.js to whoever asks: nothing in it is secret. A browser
// asks each time whether it has changed, so that the script and this server are of
// one version.
func (c *Connect) serveScript(w http.ResponseWriter, r *http.Request) error {
	if err := checkAssetRequest(r); err != nil {
		return c.refuse(w, r, err)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // for a page on one of trusted_origins
	h.Set("Content-Security-Policy", headers.OwnPolicy)   // of who opens it as a page
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("ETag", connectScriptTag)
	http.ServeContent(w, r, "connect.js", time.Time{}, bytes.NewReader(connectScript))
	countRequest(c.Provider, "", outcomeAnswered)
	return nil
}
