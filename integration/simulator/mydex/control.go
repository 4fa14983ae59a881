// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// control serves what is under /_simulator/ of each host. It answers loopback
// only and is not recorded.
//
//	GET   settings          the Settings
//	PATCH settings          changes those that are given, answers with all
//	GET   records?after=N   the records with a sequence number above N
//	GET   counts            the Counts
//	GET   deliveries        callbacks and notifications that were sent
//	GET   members           the members
//	GET   connections       the connections, with the member keys
//	POST  revoke            all tokens
//	POST  connect           {"uid": "4020"}: without a consent flow
//	POST  withdraw          {"uid": "4020"}: takes the agreement back
//	POST  rotate            {"uid": "4020"}: a new member key
//	POST  deliver           sends the callbacks that are held back
//	POST  notify            {"uid": "4020", "message": …, "dataset": …, "action": …, "updated_id": …}
//	POST  callback          {"url": …}: where callbacks go from now on
//	POST  use-invite        {"code": …}: an invitation is used from now on
//	POST  reset             records, counts and deliveries
func (m *Mydex) control(w http.ResponseWriter, r *http.Request, segments []string) {
	control.Serve(w, r, func() (any, error) { return m.command(r, r.Method+" "+strings.Join(segments, "/")) })
}

// command does what a control call says and returns its answer, if it has one.
func (m *Mydex) command(r *http.Request, name string) (any, error) {
	switch name {
	case "GET deliveries":
		return m.Deliveries(), nil
	case "GET members":
		return m.Members(), nil
	case "GET connections":
		return m.Connections(), nil
	case "POST revoke":
		m.Revoke()
		return nil, nil
	case "POST deliver":
		return m.Deliver(), nil
	case "POST reset":
		m.Reset()
		return nil, nil
	}
	return m.commandWithBody(r, name)
}

// commandWithBody does those that say about whom or what.
func (m *Mydex) commandWithBody(r *http.Request, name string) (any, error) {
	var who struct {
		UID string `json:"uid"`
	}
	switch name {
	case "POST connect":
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		return m.Connect(who.UID)
	case "POST rotate":
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		return m.Rotate(who.UID)
	case "POST withdraw":
		if err := control.Decode(r, &who); err != nil {
			return nil, err
		}
		m.Withdraw(who.UID)
		return nil, nil
	case "POST notify":
		var n struct {
			UID string `json:"uid"`
			Notification
		}
		if err := control.Decode(r, &n); err != nil {
			return nil, err
		}
		return m.Notify(n.UID, n.Notification), nil
	case "POST use-invite":
		var which struct {
			Code string `json:"code"`
		}
		if err := control.Decode(r, &which); err != nil {
			return nil, err
		}
		if !m.UseInvite(which.Code) {
			return nil, errors.New("there is no invitation of that code")
		}
		return nil, nil
	case "POST callback":
		var to struct {
			URL string `json:"url"`
		}
		if err := control.Decode(r, &to); err != nil {
			return nil, err
		}
		m.SetCallbackURL(to.URL)
		return nil, nil
	}
	return control.Common(r, name, m.settings, &m.records)
}
