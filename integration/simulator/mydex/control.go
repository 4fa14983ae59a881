// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// sameOrigin keeps web pages from driving the simulator of whoever visits them.
var sameOrigin = http.NewCrossOriginProtection()

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
//	POST  connect           {"uid": "4020"}: without a journey
//	POST  withdraw          {"uid": "4020"}: takes the agreement back
//	POST  rotate            {"uid": "4020"}: a new member key
//	POST  deliver           sends the callbacks that are held back
//	POST  notify            {"uid": "4020", "message": …, "dataset": …, "action": …, "updated_id": …}
//	POST  callback          {"url": …}: where callbacks go from now on
//	POST  reset             records, counts and deliveries
func (m *Mydex) control(w http.ResponseWriter, r *http.Request, segments []string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() || sameOrigin.Check(r) != nil {
		reply(w, http.StatusForbidden, map[string]string{"message": "control is for loopback and the same origin only"})
		return
	}
	answer, err := m.command(r, r.Method+" "+strings.Join(segments, "/"))
	switch {
	case errors.Is(err, errUnknown):
		reply(w, http.StatusNotFound, map[string]string{"message": err.Error()})
	case err != nil:
		reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		reply(w, http.StatusOK, answer)
	}
}

var errUnknown = errors.New("no such control call")

// command does what a control call says and returns its answer, if it has one.
func (m *Mydex) command(r *http.Request, name string) (any, error) {
	switch name {
	case "GET settings":
		return m.Settings(), nil
	case "PATCH settings":
		if err := m.trySet(func(s *Settings) error { return decode(r, s) }); err != nil {
			return nil, err
		}
		return m.Settings(), nil
	case "GET records":
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil && r.URL.Query().Has("after") {
			return nil, errors.New("after is a whole number")
		}
		return m.records.after(after), nil
	case "GET counts":
		return m.Counts(), nil
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
		if err := decode(r, &who); err != nil {
			return nil, err
		}
		return m.Connect(who.UID)
	case "POST rotate":
		if err := decode(r, &who); err != nil {
			return nil, err
		}
		return m.Rotate(who.UID)
	case "POST withdraw":
		if err := decode(r, &who); err != nil {
			return nil, err
		}
		m.Withdraw(who.UID)
		return nil, nil
	case "POST notify":
		var n struct {
			UID string `json:"uid"`
			Notification
		}
		if err := decode(r, &n); err != nil {
			return nil, err
		}
		return m.Notify(n.UID, n.Notification), nil
	case "POST callback":
		var to struct {
			URL string `json:"url"`
		}
		if err := decode(r, &to); err != nil {
			return nil, err
		}
		m.SetCallbackURL(to.URL)
		return nil, nil
	}
	return nil, errUnknown
}

// decode reads a JSON body; none at all changes nothing.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
