// SPDX-License-Identifier: Apache-2.0

// Package sources plays the vendors of data sources for tests and for the demo: a
// wearable's cloud, a lab, a hospital's FHIR server. Each [Vendor] has pages on which
// people consent, by OAuth 2.0, SMART App Launch or OAuth 1.0a, and an API of health
// data. It is strict about clients, codes and tokens, and can be told to depart from
// the standards as real vendors do, and to fail in every way.
//
// It holds made-up data only. Never give it a secret that opens anything else.
package sources

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Options are what a simulated vendor knows from the start.
type Options struct {
	// Name is what people read, such as "City lab". Default: the preset's.
	Name string
	// Preset is the vendor whose ways it has; [Presets] lists them. Default: city_lab.
	Preset string
	// Clients are the applications that are registered at the vendor.
	Clients []Client
	// Accounts are the people who have an account there. See [SampleAccounts].
	Accounts []Account
	// Clock tells the time. Default: [time.Now].
	Clock func() time.Time
}

// Vendor is a simulated vendor. It is an [http.Handler] that plays all of the
// vendor's hosts on one address, and serves the control calls under /_simulator/.
// [Vendor.Host] plays some of them. It has no goroutines of its own; any number of
// servers may serve it.
type Vendor struct {
	name     string
	clock    func() time.Time
	settings *control.Settings[Settings]
	clients  []Client
	accounts []Account
	keys     keys
	store    store
	flows    flows
	signed   signedCalls
	// assertions are the IDs of those that have been used.
	assertions control.Expiring[struct{}]
	records    control.Records[Record, Counts]
}

// New returns a vendor with the settings of its preset. It panics on options that
// mean nothing.
func New(o Options) *Vendor {
	preset, ok := presets[cmp.Or(o.Preset, CityLab)]
	if !ok {
		panic("sources: there is no preset " + o.Preset + "; there are " + strings.Join(Presets(), ", "))
	}
	v := &Vendor{
		name: cmp.Or(o.Name, preset.title), clock: o.Clock, clients: o.Clients, accounts: o.Accounts, keys: keys{access: randomBytes(32)},
	}
	if v.clock == nil {
		v.clock = time.Now
	}
	for i := range v.accounts {
		if err := v.accounts[i].Check(); err != nil {
			panic("sources: account: " + err.Error())
		}
	}
	for i := range v.clients {
		if err := v.clients[i].Check(); err != nil {
			panic("sources: client: " + err.Error())
		}
	}
	s := defaultSettings()
	preset.change(&s)
	s.Preset = cmp.Or(o.Preset, CityLab)
	v.settings = control.NewSettings(s, Settings.clone, (*Settings).validate)
	v.Set(func(*Settings) {}) // an impossible preset does not begin
	return v
}

// Name is the name that people read.
func (v *Vendor) Name() string { return v.name }

// The hosts that a vendor consists of.
const (
	HostLogin = "login" // the pages that people see
	HostToken = "token" // tokens and their end, the registration of people
	HostAPI   = "api"   // data
)

// Host plays these hosts only: what is another's is not found. Control calls are
// served too.
func (v *Vendor) Host(hosts ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { v.serve(w, r, hosts) })
}

// Records returns what is remembered of the latest requests, oldest first.
func (v *Vendor) Records() []Record { return v.records.After(0) }

// Counts returns the totals since the start or the last [Vendor.Reset].
func (v *Vendor) Counts() Counts { return v.records.Counts() }

// Reset forgets records and counts. Consents, tokens and settings stay as they are.
func (v *Vendor) Reset() {
	v.records.Reset(func(c Counts) Counts { return Counts{InFlight: c.InFlight, TokensInFlight: c.TokensInFlight} })
}

func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.serve(w, r, nil) }

func (v *Vendor) serve(w http.ResponseWriter, r *http.Request, hosts []string) {
	// The path is decoded first, and dot segments are resolved then: the reading
	// that is worst for a proxy which judges a path by its letters.
	p := path.Clean("/" + r.URL.Path)
	if name, ok := strings.CutPrefix(p, "/_simulator/"); ok {
		v.control(w, r, name)
		return
	}
	c := v.begin(w, r, p, hosts)
	defer c.end()
	if c.outage() {
		c.serve()
	}
}

func (c *call) serve() {
	if host, serve := served(c.area); serve != nil && slices.Contains(c.hosts, host) {
		serve(c)
		return
	}
	c.fail(http.StatusNotFound, "not_found", "there is no such resource on this host")
}
