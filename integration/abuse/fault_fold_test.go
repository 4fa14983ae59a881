// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// foldedReadings are what some servers, or the file systems behind them, read
// as the way up, as a separator, or as nothing at the end of a segment.
var foldedReadings = []string{
	"\u2024\u2024/", "\u2025/", "\ufe52\ufe52/", "\uff0e\uff0e/", ".\u200c./", ".\u200b./", ".\u00ad./", ".\ufeff./", "..\u00a0/", "..\u3000/", "..\u2002/", "..\u200b/", "..\ufeff/", "\u00a0../", "\u3000../",
	"x\u2044", "x\u2215", "x\u29f8", "x\uff0f", "x\u2216", "x\u29f5", "x\ufe68", "x\uff3c", "x\u2100y/", "x\u037e/", "x\ufe54/", "x\uff1b/", "x\ufe6a2f", "x\uff052f", "x\u066a2f", "x\ufe56/", "x\ufe5f/", "x\ufe55/", "x\ufe6b/", "x\ufe60/", "x\ufe66/",
	"\u212aelvin/", "pro\ufb01le/", "x\u00a0/", "x\u3000/", "x\u200d/", "x\u2028/", "x\u00a5", "x\u20a9",
}

// TestA14_FoldedReadings protects a route policy from second readings that only
// a server sees which folds characters: in the path as it is, and in the target
// as it was received, where a rewrite has hidden it.
func TestA14_FoldedReadings(t *testing.T) {
	mounted(t, "", byPrefix, func(t *testing.T, r *rig, prefix string) {
		alice := r.cookie("alice")
		for _, reading := range foldedReadings {
			for _, spelling := range []string{reading, escaped(reading), strings.ToLower(escaped(reading))} {
				path := "/api/v1/delegated/" + spelling + administration
				r.malformed(path, func() reply { return r.ask("GET", prefix+path, alice) })
			}
			path := "/api/v1/delegated/custom/" + strings.TrimSuffix(escaped(reading), "/")
			r.refused(path, http.StatusBadRequest, "path_ambiguous", func() reply { return r.ask("GET", prefix+path, alice) })
			r.refused("public "+path, http.StatusBadRequest, "path_ambiguous", func() reply {
				return r.ask("GET", prefix+"/api/v1/public/projects/"+strings.TrimSuffix(escaped(reading), "/")+"/views/v", alice)
			})
		}
		for _, name := range []string{"ü", "u\u0308", "é", "e\u0301", "日本語", "中文", "مرحبا", "می\u200cخواهم", "İstanbul", "Привет", "❤\ufe0f", "10\u00a0000"} {
			record := r.served(name, stack.Alice, func() reply {
				return r.ask("GET", prefix+"/api/v1/delegated/custom/"+url.PathEscape(name), alice)
			})
			if got, err := url.PathUnescape(record.URI); err != nil || got != "/api/v1/delegated/custom/"+name {
				t.Errorf("%q arrived as %q", name, record.URI)
			}
		}
	})
	t.Run("rewritten", func(t *testing.T) {
		r := start(t, caddyfile("", `
	rewrite * `+apiEcho+`
	`+bare(""), byPrefix))
		alice := r.cookie("alice")
		for _, reading := range foldedReadings {
			path := "/x/" + strings.TrimSuffix(escaped(reading), "/")
			r.refused(path, http.StatusBadRequest, "path_ambiguous", func() reply { return r.ask("GET", path, alice) })
		}
		r.served("plain", stack.Alice, func() reply { return r.ask("GET", "/x/y", alice) })
	})
}

// escaped escapes all but slashes.
func escaped(reading string) string { return strings.ReplaceAll(url.PathEscape(reading), "%2F", "/") }
