// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
)

//go:embed page
var pageFiles embed.FS

// pages have names that tests can rely on: #finish, #cancel, and the labels that
// a person reads.
var pages = template.Must(template.ParseFS(pageFiles, "page/*.html"))

// label is the name that is shown of an application.
func (a *Application) label() string { return cmp.Or(a.Name, a.ClientID) }

// page answers with a page of the widget, which only the application's pages may
// frame, those with COEP too.
func (c *call) page(status int, f flow, name string, data any) {
	h := c.w.Header()
	ancestors := "'none'"
	if f.origin != "" {
		ancestors = f.app.ancestors()
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors "+ancestors)
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Referrer-Policy", "no-referrer")
	c.render(status, name, data)
}

func (c *call) render(status int, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		panic("connect: " + err.Error())
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.send(status, "text/html; charset=utf-8", b.Bytes())
}
