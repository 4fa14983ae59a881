// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxHandedBody is more than what any widget hands over, in bytes.
const maxHandedBody = 64 << 10

// redeem exchanges at the platform what its widget has handed to the app's page,
// for the flow that the person who is signed in has begun in this browser.
func (v *connectRequest) redeem() error {
	handed, err := readHanded(v.w, v.r)
	if err != nil {
		return err
	}
	browserToken := v.readCookie().BrowserToken
	if browserToken == "" {
		return delegation.Refuse(delegation.FlowExpired, errors.New("the browser has begun no consent flow, or has lost its cookie"))
	}
	end, err := v.provider.redeemLimiter.begin(v.owner, handed)
	if err != nil {
		return err
	}
	redeemed, err := v.source.consents.Redeem(v.r.Context(), grants.RedeemRequest{Person: v.owner, BrowserToken: browserToken, Handed: handed})
	end(askedPlatform(redeemed, err))
	v.recordRedeemed(redeemed, err, v.owner)
	if err != nil {
		return err
	}
	return v.writeRedeemed(redeemed)
}

// writeRedeemed answers 201 with {"connected":true} and what the platform has for
// the page.
func (v *connectRequest) writeRedeemed(redeemed *grants.Redeemed) error {
	answer := make(map[string]any, len(redeemed.Reply)+1)
	for name, value := range redeemed.Reply {
		answer[name] = value
	}
	answer["connected"] = true
	return writeJSON(v.w, http.StatusCreated, answer)
}

// recordRedeemed records the outcome of a redemption in the log and in the metrics,
// and has other machines drop what they know of the person. who is the zero person
// for a native app that was refused.
func (v *connectRequest) recordRedeemed(redeemed *grants.Redeemed, err error, who delegation.Person) {
	if err != nil {
		switch delegation.AsRefusal(err).Code {
		case delegation.AccountConflict:
			v.provider.recordConsent(consentConflict, actorUser, "", who)
		case delegation.TokenRejected, delegation.ConsentDenied:
			v.provider.recordConsent(consentRefused, actorUser, "", who)
		}
		return
	}
	if redeemed.First {
		v.provider.recordConsent(consentConnected, actorUser, "", redeemed.Person)
		v.purgePerson(redeemed.Person)
	}
}

// readHanded reads what a widget has handed over: the fields of a form, or the
// members of a JSON object that are strings. A name that stands twice is refused,
// because two readers may disagree on which value counts. The error is
// token_rejected for a body of another shape, body_too_large or body_incomplete; it
// quotes nothing.
func readHanded(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	handed, err := parseHanded(r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, delegation.Refuse(delegation.TokenRejected, err)
	}
	return handed, nil
}

// readBody reads what a page or an app has posted. The error is body_too_large or
// body_incomplete.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHandedBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, delegation.Refuse(delegation.BodyTooLarge, fmt.Errorf("what is handed over has at most %d bytes", maxHandedBody))
		}
		return nil, delegation.Refuse(delegation.BodyIncomplete, errors.New("what is handed over did not arrive whole"))
	}
	return body, nil
}

// parseHanded parses a body. Any Content-Type but that of a form is read as JSON.
func parseHanded(contentType string, body []byte) (url.Values, error) {
	if kind, _, _ := mime.ParseMediaType(contentType); kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errors.New("what is handed over is no form")
		}
		for values := range maps.Values(form) {
			if len(values) > 1 {
				return nil, errors.New("what is handed over has a field twice")
			}
		}
		return form, nil
	}
	members, err := strictjson.Members(body)
	if err != nil {
		return nil, fmt.Errorf("what is handed over: %w", err)
	}
	handed := make(url.Values, len(members))
	for name, text := range members {
		var value string
		if len(text) > 0 && text[0] == '"' && json.Unmarshal(text, &value) == nil {
			handed.Set(name, value)
		}
	}
	return handed, nil
}
