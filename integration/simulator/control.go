// SPDX-License-Identifier: Apache-2.0

package simulator

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

// control serves what is under /_simulator/. It answers loopback only and is
// not recorded.
//
//	GET   settings          the Settings
//	PATCH settings          changes those that are given, answers with all
//	GET   records?after=N   the records with a sequence number above N
//	GET   counts            the Counts
//	POST  revoke            {"participantID": ""}: empty means everybody
//	POST  revoke-service
//	POST  release           one more event on every open stream
//	POST  reset             records and counts
func (m *MyDataHelps) control(w http.ResponseWriter, r *http.Request, segments []string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() || sameOrigin.Check(r) != nil {
		reply(w, http.StatusForbidden, map[string]string{"message": "control is for loopback and the same origin only"})
		return
	}
	switch r.Method + " " + strings.Join(segments, "/") {
	case "GET settings":
		reply(w, http.StatusOK, m.Settings())
	case "PATCH settings":
		if err := m.trySet(func(s *Settings) error { return decode(r, s) }); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
			return
		}
		reply(w, http.StatusOK, m.Settings())
	case "GET records":
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil && r.URL.Query().Has("after") {
			reply(w, http.StatusBadRequest, map[string]string{"message": "after is a whole number"})
			return
		}
		reply(w, http.StatusOK, m.records.after(after))
	case "GET counts":
		reply(w, http.StatusOK, m.Counts())
	case "POST revoke":
		var who struct {
			ParticipantID string `json:"participantID"`
		}
		if err := decode(r, &who); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
			return
		}
		m.Revoke(who.ParticipantID)
		w.WriteHeader(http.StatusNoContent)
	case "POST revoke-service":
		m.RevokeService()
		w.WriteHeader(http.StatusNoContent)
	case "POST release":
		m.Release()
		w.WriteHeader(http.StatusNoContent)
	case "POST reset":
		m.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		reply(w, http.StatusNotFound, map[string]string{"message": "no such control call"})
	}
}

// decode reads a JSON body; none at all changes nothing.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
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
