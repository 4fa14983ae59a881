// SPDX-License-Identifier: Apache-2.0

// Package connect plays a Developer Console for tests and for the demo: a data
// platform with a Connect widget, the exchange of its one-time tokens, and an
// API of health data. It is strict about clients and tokens, and can be told to
// answer in every hostile way.
//
// It holds made-up data only. Never give it a secret that opens anything else.
package connect

import (
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Options are what a simulated platform knows from the start.
type Options struct {
	// Applications are those that developers have registered in the console.
	// More can be registered there, or with [Platform.Register].
	Applications []Application

	// Accounts are the people at the platform. See [SampleAccounts].
	Accounts []Account

	// Preset is developer_console or human_connect_v1; the [Settings] can
	// change it. Default: developer_console.
	Preset string

	// Clock tells the time. Default: [time.Now].
	Clock func() time.Time
}

// Platform is a simulated Developer Console. It is an [http.Handler] that plays
// console, widget, exchange and API on one address, and serves the control calls
// under /_simulator/. It has no goroutines of its own; any number of servers may
// serve it.
type Platform struct {
	clock        func() time.Time
	settings     *control.Settings[Settings]
	applications applications
	accounts     *accounts
	store        store
	flows        flows
	records      control.Records[Record, Counts]
}

// New returns a simulator with the default [Settings]. It panics on options that
// mean nothing.
func New(o Options) *Platform {
	p := &Platform{clock: o.Clock, accounts: newAccounts(o.Accounts)}
	if p.clock == nil {
		p.clock = time.Now
	}
	p.settings = control.NewSettings(defaultSettings(), Settings.clone, (*Settings).validate)
	if o.Preset != "" {
		p.Set(func(s *Settings) { s.Preset = o.Preset })
	}
	for _, a := range o.Applications {
		if _, err := p.Register(a); err != nil {
			panic("connect: " + err.Error())
		}
	}
	return p
}

// Records returns what is remembered of the latest requests, oldest first.
func (p *Platform) Records() []Record { return p.records.After(0) }

// Counts returns the totals since the start or the last [Platform.Reset].
func (p *Platform) Counts() Counts { return p.records.Counts() }

// Reset forgets records and counts, also those by token. Applications,
// connections, tokens and settings stay as they are.
func (p *Platform) Reset() {
	p.records.Reset(func(c Counts) Counts { return Counts{InFlight: c.InFlight} })
	p.store.resetCalls()
}

func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The path is decoded first, and dot segments are resolved then: the reading
	// that is worst for a proxy which judges a path by its letters.
	segments := strings.Split(path.Clean("/" + r.URL.Path)[1:], "/")
	if segments[0] == "_simulator" {
		p.control(w, r, segments[1:])
		return
	}
	c := p.begin(w, r, segments)
	defer c.end()
	if c.outage() {
		c.serve()
	}
}

func (c *call) serve() {
	switch c.area {
	case areaExchange:
		c.serveExchange()
	case areaRecovery:
		c.serveRecovery()
	case areaVerify, areaData:
		c.serveData()
	case areaWidget:
		c.serveWidget()
	case areaConsole:
		c.serveConsole()
	default:
		c.fail(http.StatusNotFound, "not_found", "there is no such resource")
	}
}
