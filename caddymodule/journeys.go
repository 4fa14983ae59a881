// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Who does something to a consent.
const (
	actorUser     = "user"
	actorOperator = "operator"
	actorPlatform = "platform"
)

// What is done, besides what providers note.
const (
	consentBegun            delegation.ConsentEvent = "begun"
	consentAnswered         delegation.ConsentEvent = "told"
	consentConnected        delegation.ConsentEvent = "connected"
	consentRefused          delegation.ConsentEvent = "refused"
	consentConflict         delegation.ConsentEvent = "conflict"
	consentDisconnected     delegation.ConsentEvent = "forgotten"
	consentNotification     delegation.ConsentEvent = "notification"
	consentOther            delegation.ConsentEvent = "other"
	consentCallbackRejected delegation.ConsentEvent = "not_taken"
)

// recordConsent counts what happens to somebody's consent, and notes it for who has
// to account for it.
func (p *provider) recordConsent(what delegation.ConsentEvent, by string, who delegation.Person) {
	consentsTotal.WithLabelValues(p.name, string(what)).Inc()
	p.logger.Info("consent", append([]zap.Field{
		zap.String("provider", p.name), zap.String("event", string(what)), zap.String("by", by),
	}, p.subjectFields.of(who)...)...)
}

// RecordConsentEvent implements [grants.Host].
func (p *provider) RecordConsentEvent(what delegation.ConsentEvent, who delegation.Person) {
	p.recordConsent(what, actorPlatform, who)
}

// recordCallbackKind notes what the platform has told.
func (p *provider) recordCallbackKind(word delegation.CallbackKind) {
	event := consentOther
	switch word {
	case delegation.CallbackConsent:
		event = consentAnswered
	case delegation.CallbackNotification:
		event = consentNotification
	}
	p.recordConsent(event, actorPlatform, delegation.Person{})
}

// startConsent has somebody set out.
func (c *Connect) startConsent(ctx context.Context, j delegation.ConsentFlow, by string) (*delegation.Authorization, error) {
	j.ReturnURL = c.baseURL.String() + "/return"
	if j.AnyBrowser {
		j.Lifetime, j.BrowserToken = time.Duration(c.CrossDevice), delegation.Secret{}
	}
	d, err := c.connector.BeginConsent(ctx, j)
	if err == nil {
		c.provider.recordConsent(consentBegun, by, j.Person)
	}
	return d, err
}

// startResponse is what the page is told.
func startResponse(d *delegation.Authorization) map[string]any {
	return map[string]any{"url": d.URL, "qr": d.QR, "expires_in": int(time.Until(d.Expires).Seconds())}
}

// otherDevice tells whether it is another device that the user will consent on.
func (v *connectRequest) otherDevice() (bool, error) {
	query := v.r.URL.Query()
	switch device := query.Get("device"); {
	case !query.Has("device"):
		return false, nil
	case device != "other" || len(query["device"]) != 1:
		return false, delegation.Refuse(delegation.RouteDenied, errors.New("the query parameter device is other, or left out"))
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

func checkCrossDevice(d caddy.Duration) error {
	if d != 0 && (time.Duration(d) < minCrossDevice || time.Duration(d) > maxCrossDevice) {
		return fmt.Errorf("cross_device %s: from 1m to 24h: whoever sees the code first can connect an account of their own", time.Duration(d))
	}
	return nil
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

// consentStartRequest is the body of POST /delegate/journeys.
type consentStartRequest struct {
	Provider string `json:"provider"`
	Realm    string `json:"realm"`
	Subject  string `json:"subject"`
	URL      string `json:"url"`
	Update   bool   `json:"update"`
}

const consentStartFields = "the strings provider, realm and subject, of url, a delegate_connect's, where there are several, and of update, which is true or false"

// startConsent answers POST /delegate/journeys: it begins a journey for somebody whom
// the operator names, and who has to sign in to end it.
func (adminAPI) startConsent(w http.ResponseWriter, r *http.Request) error {
	app, order, err := readAdminRequest[consentStartRequest](w, r, consentStartFields)
	if err != nil {
		return err
	}
	if order.Provider == "" || order.Realm == "" || order.Subject == "" {
		return badRequest(errors.New("provider, realm and subject are needed: realm and subject are the app's names of the user; without app_session the realm is default"))
	}
	c, err := order.findConnect(app)
	if err != nil {
		return err
	}
	d, err := c.startConsent(r.Context(), delegation.ConsentFlow{
		Person: delegation.Person{Realm: order.Realm, Subject: order.Subject}, Update: order.Update, AnyBrowser: true,
	}, actorOperator)
	if err != nil {
		refusal := delegation.AsRefusal(err)
		if err = refusal; refusal.Unwrap() != nil {
			err = fmt.Errorf("%w: %w", refusal, refusal.Unwrap())
		}
		return caddy.APIError{HTTPStatus: refusal.Status(), Err: err}
	}
	return writeJSON(w, http.StatusOK, startResponse(d))
}

// findConnect is the directive by which the journey is to end.
func (o *consentStartRequest) findConnect(app *App) (*Connect, error) {
	p, ok := app.providers[o.Provider]
	if !ok {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("there is no such provider")}
	}
	var found *Connect
	for _, c := range p.connectHandlers {
		switch {
		case o.URL != "" && o.URL != c.baseURL.String(), c.Realm != "" && c.Realm != o.Realm:
		case found != nil && found.baseURL.String() != c.baseURL.String():
			return nil, badRequest(errors.New("several delegate_connect of the provider have cross_device: name one by its url"))
		case found == nil || c.CrossDevice < found.CrossDevice:
			found = c
		}
	}
	if found == nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no delegate_connect of the provider has cross_device, that url and that realm")}
	}
	return found, nil
}
