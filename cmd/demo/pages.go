// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

//go:embed page
var pages embed.FS

// serve adds to the app the page and what the page asks for. What is under
// /demo/ exists for the demo only: no app needs it, and no app should have it.
//
//	GET  /demo/state      who is signed in, and what the platform has counted
//	GET  /demo/exchange   the session's latest call
//	GET  /demo/caddyfile  the Caddyfile in use
//	POST /demo/revoke     has the platform revoke the signed-in user's tokens
func (d *demo) serve() {
	app := d.stack.App
	app.Watch(d.watch)
	files, err := fs.Sub(pages, "page")
	if err != nil {
		panic(err) // the name is no path
	}
	app.Handle("/", guarded(http.FileServerFS(files)))
	app.Handle("/health.html", guarded(d.health.withWidget(http.FileServerFS(files))))
	app.Handle("/demo/state", guarded(http.HandlerFunc(d.state)))
	app.Handle("/demo/exchange", guarded(http.HandlerFunc(d.exchange)))
	app.Handle("/demo/caddyfile", guarded(http.HandlerFunc(d.showCaddyfile)))
	app.Handle("POST /demo/revoke", guarded(http.HandlerFunc(d.revoke)))
	d.serveSwitches()
	d.serveMydex()
	d.serveHealth()
	d.serveSources()
}

// watch notes what forward_auth asks about, for the page that shows it.
func (d *demo) watch(session string, r *http.Request) {
	_, user := d.stack.App.Session(r)
	switch path := r.Header.Get("X-Forwarded-Uri"); {
	case strings.HasPrefix(path, proxyPath), strings.HasPrefix(path, connectPath):
		d.mydex.watch(session, user, r)
	case strings.HasPrefix(path, healthPath), strings.HasPrefix(path, healthConnectPath):
		d.health.watch(session, user, r)
	case strings.HasPrefix(path, sourcesPath), strings.HasPrefix(path, sourcesConnectPath):
		d.vendors.watch(session, user, r)
	default:
		d.exchanges.watch(session, r)
	}
}

// contentPolicy keeps other sites from framing the page, and anything but its own
// files out of it. The QR code is an image in a data URL.
const contentPolicy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guarded keeps other sites from framing the page, posting to it or holding on to
// its window.
func guarded(h http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	}))
}

func (d *demo) state(w http.ResponseWriter, r *http.Request) {
	_, user := d.stack.App.Session(r)
	answer(w, struct {
		User   string           `json:"user"` // empty: nobody is signed in
		Counts simulator.Counts `json:"counts"`
	}{user, d.stack.Platform.Counts()})
}

func (d *demo) exchange(w http.ResponseWriter, r *http.Request) {
	session, user := d.stack.App.Session(r)
	answer(w, d.exchanges.of(session, user, d.stack.Platform.Records()))
}

func (d *demo) showCaddyfile(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, d.caddyfile)
}

func (d *demo) revoke(w http.ResponseWriter, r *http.Request) {
	_, user := d.stack.App.Session(r)
	// An empty ID would revoke everybody's tokens.
	id := participantID(user)
	if id == "" {
		http.Error(w, "sign in as a participant first", http.StatusUnauthorized)
		return
	}
	d.stack.Platform.Revoke(id)
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
