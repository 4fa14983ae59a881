// SPDX-License-Identifier: Apache-2.0

package connectpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the scripts and the style sheet
	"encoding/hex"
	"net/http"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

//go:embed connect.js
var connectScript []byte

//go:embed page.js
var pageScript []byte

//go:embed style.css
var styleSheet []byte

// asset is a file that is the same for everybody.
type asset struct {
	content []byte
	kind    string // media type
	shared  bool   // pages of trusted origins may load it
}

var assets = map[string]asset{
	"/connect.js": {connectScript, "text/javascript; charset=utf-8", true},
	"/page.js":    {pageScript, "text/javascript; charset=utf-8", false},
	"/style.css":  {styleSheet, "text/css; charset=utf-8", false},
}

// ServeAsset answers GET and HEAD of /connect.js, /page.js and /style.css, and
// reports whether path is one of them. There is nothing secret in them: they are for
// whoever asks. A browser asks each time whether they have changed, so that they and
// the pages are of one version.
func ServeAsset(w http.ResponseWriter, r *http.Request, path string) bool {
	a, ok := assets[path]
	if ok {
		a.serve(w, r)
	}
	return ok
}

// ServeLogo answers GET and HEAD of /logo/<source>. kind is image/svg+xml,
// image/png, image/jpeg or image/webp. Opened as a page, an SVG image could run
// script on the app's origin: the policy sandboxes it.
func ServeLogo(w http.ResponseWriter, r *http.Request, logo []byte, kind string) {
	asset{logo, kind, true}.serve(w, r)
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", headers.OwnPolicy) // of who opens it as a page
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if a.shared {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	sum := sha256.Sum256(a.content)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`) // RFC 9110 section 8.8.3
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
