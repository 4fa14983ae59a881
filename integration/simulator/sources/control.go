// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// control serves what is under /_simulator/. It answers loopback only and is not
// recorded.
//
//	GET   settings          the Settings
//	PATCH settings          changes those that are given, answers with all
//	GET   records?after=N   the records with a sequence number above N
//	GET   counts            the Counts
//	GET   accounts          the accounts
//	GET   grants            the consents, with their tokens
//	GET   modes             the modes that there are, and what they do
//	POST  mode              {"modes": ["refresh_429"]}: the modes from now on
//	POST  decide            {"url": …, "account": …, "deny": …, "patient": …, "untick": […]}:
//	                        without the pages; answers with where the browser is led
//	POST  withdraw          {"account": …}: the person ends all consents; empty: everybody
//	POST  expire            {"accounts": […]}: ends their access tokens; none: all
//	POST  reset             records and counts
func (v *Vendor) control(w http.ResponseWriter, r *http.Request, name string) {
	control.Serve(w, r, func() (any, error) { return v.command(r, r.Method+" "+name) })
}

// command does what a control call says and returns its answer, if it has one.
func (v *Vendor) command(r *http.Request, name string) (any, error) {
	switch name {
	case "GET accounts":
		return v.accounts, nil
	case "GET grants":
		return v.Grants(), nil
	case "GET modes":
		return Modes(), nil
	case "POST expire":
		var whose struct{ Accounts []string }
		if err := control.Decode(r, &whose); err != nil {
			return nil, err
		}
		v.ExpireAccess(whose.Accounts...)
		return nil, nil
	case "POST reset":
		v.Reset()
		return nil, nil
	case "POST mode":
		var which struct{ Modes []string }
		if err := control.Decode(r, &which); err != nil {
			return nil, err
		}
		return nil, v.SetMode(which.Modes...)
	case "POST withdraw":
		var who struct{ Account string }
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		v.Withdraw(who.Account)
		return nil, nil
	case "POST decide":
		var how struct {
			Decision
			URL string `json:"url"`
		}
		if err := control.Decode(r, &how); err != nil {
			return nil, err
		}
		location, err := v.Decide(how.URL, how.Decision)
		return map[string]string{"location": location}, err
	}
	return control.Common(r, name, v.settings, &v.records)
}
