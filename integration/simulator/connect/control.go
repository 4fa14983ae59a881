// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// control serves what is under /_simulator/. It answers loopback only and is
// not recorded.
//
//	GET   settings          the Settings
//	PATCH settings          changes those that are given, answers with all
//	GET   records?after=N   the records with a sequence number above N
//	GET   counts            the Counts
//	GET   applications      the applications, with their secrets
//	GET   accounts          the accounts
//	GET   connections       the connections, with their tokens
//	POST  application       an Application; answers with what it got
//	POST  mode              {"modes": ["echo_none"]}: the hostile modes from now on
//	POST  connect           {"clientId": …, "clientUserId": …, "userCode": …}: without the widget; answers as it does
//	POST  revoke            {"clientId": …, "userCode": …}: ends the access token
//	POST  exchanges         {"token": …}: how often that one-time token arrived
//	POST  reset             records and counts
func (p *Platform) control(w http.ResponseWriter, r *http.Request, segments []string) {
	control.Serve(w, r, func() (any, error) { return p.command(r, r.Method+" "+strings.Join(segments, "/")) })
}

// command does what a control call says and returns its answer, if it has one.
func (p *Platform) command(r *http.Request, name string) (any, error) {
	switch name {
	case "GET applications":
		return p.Applications(), nil
	case "GET accounts":
		return p.accounts.all, nil
	case "GET connections":
		return p.Connections(), nil
	case "POST reset":
		p.Reset()
		return nil, nil
	}
	return p.commandWithBody(r, name)
}

// commandWithBody does those that say about whom or what.
func (p *Platform) commandWithBody(r *http.Request, name string) (any, error) {
	var who struct{ ClientID, ClientUserID, UserCode string }
	switch name {
	case "POST application":
		var a Application
		if err := control.Decode(r, &a); err != nil {
			return nil, err
		}
		return p.Register(a)
	case "POST mode":
		var which struct{ Modes []string }
		if err := control.Decode(r, &which); err != nil {
			return nil, err
		}
		return nil, p.SetMode(which.Modes...)
	case "POST connect":
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		token, err := p.Connect(who.ClientID, who.ClientUserID, who.UserCode)
		if err != nil {
			return nil, err
		}
		return p.Handover(token), nil
	case "POST revoke":
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		p.Revoke(who.ClientID, who.UserCode)
		return nil, nil
	case "POST exchanges":
		var of struct{ Token string }
		if err := control.Decode(r, &of); err != nil {
			return nil, err
		}
		return map[string]int{"exchanges": p.ExchangesOf(of.Token)}, nil
	}
	return control.Common(r, name, p.settings, &p.records)
}
