// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// otherDevice tells whether the person wants to consent on another device. The
// error is route_denied.
func (v *connectRequest) otherDevice() (bool, error) {
	query := v.r.URL.Query()
	switch device := query.Get("device"); {
	case !query.Has("device"):
		return false, nil
	case device != "other" || len(query["device"]) != 1:
		return false, delegation.Refuse(delegation.RouteDenied, errors.New("the query parameter device is other, or left out"))
	case v.provider.endsInPage():
		return false, delegation.Refuse(delegation.RouteDenied, errCrossDeviceWidget(v.Provider))
	case v.CrossDevice == 0:
		return false, delegation.Refuse(delegation.RouteDenied, errors.New("consent on another device is not allowed: add cross_device to delegate_connect"))
	default:
		return true, nil
	}
}

const (
	defaultCrossDevice = 15 * time.Minute
	minCrossDevice     = time.Minute
	maxCrossDevice     = 24 * time.Hour
)

// checkCrossDevice refuses a duration out of bounds; 0 is off.
func checkCrossDevice(d caddy.Duration) error {
	if d != 0 && (time.Duration(d) < minCrossDevice || time.Duration(d) > maxCrossDevice) {
		return fmt.Errorf("cross_device %s: from 1m to 24h: whoever sees the code first can connect an account of their own", time.Duration(d))
	}
	return nil
}

// errCrossDeviceWidget says why a provider has no consent on another device.
func errCrossDeviceWidget(provider string) error {
	return fmt.Errorf("cross_device: the widget of provider %s ends in the page that has begun: remove the line; a native app begins by POST /start with {\"client\":\"native\"}", provider)
}

// checkCrossDeviceOption refuses cross_device for a provider with a widget, by the
// kind that the global options of a Caddyfile name.
func (c *Connect) checkCrossDeviceOption(app App) error {
	g, ok := c.optionGuest(app)
	switch {
	case !ok || c.CrossDevice == 0:
		return nil
	case g.endsInPage():
		return errCrossDeviceWidget(c.Provider)
	default:
		return nil
	}
}

// optionGuest returns a new module of the kind that the global options of a Caddyfile
// name for the provider. ok is false if they do not tell: what they leave open is
// checked when it is provisioned.
func (c *Connect) optionGuest(app App) (g guestModule, ok bool) {
	var provider struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(app.ProvidersRaw[c.Provider], &provider) != nil {
		return g, false
	}
	module, err := caddy.GetModule("delegate.providers." + provider.Kind)
	if err != nil {
		return g, false // the option's own error
	}
	guest, ok := module.New().(delegation.Provider)
	return newGuestModule(c.Provider, guest), ok
}

// parseCrossDevice reads:
//
//	cross_device [<duration>]
func parseCrossDevice(d *caddyfile.Dispenser, to *caddy.Duration) error {
	if *to != 0 {
		return d.Err("cross_device is set already")
	}
	life := defaultCrossDevice
	if d.NextArg() {
		var err error
		if life, err = caddy.ParseDuration(d.Val()); err != nil || life == 0 {
			return d.Errf("cross_device %q: write a duration, such as 15m", d.Val())
		}
	}
	if d.NextArg() {
		return d.Errf("cross_device takes one duration, not %q as well", d.Val())
	}
	*to = caddy.Duration(life)
	if err := checkCrossDevice(*to); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
