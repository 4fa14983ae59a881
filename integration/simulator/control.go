// SPDX-License-Identifier: Apache-2.0

package simulator

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
//	POST  revoke            {"participantID": ""}: empty means everybody
//	POST  revoke-service
//	POST  release           one more event on every open stream
//	POST  reset             records and counts
func (m *MyDataHelps) control(w http.ResponseWriter, r *http.Request, segments []string) {
	if !control.Admit(w, r) {
		return
	}
	switch r.Method + " " + strings.Join(segments, "/") {
	case "GET settings":
		control.Reply(w, http.StatusOK, m.Settings())
	case "PATCH settings":
		if err := m.settings.Change(func(s *Settings) error { return control.Decode(r, s) }); err != nil {
			control.Reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
			return
		}
		control.Reply(w, http.StatusOK, m.Settings())
	case "GET records":
		after, err := control.After(r)
		if err != nil {
			control.Reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
			return
		}
		control.Reply(w, http.StatusOK, m.records.After(after))
	case "GET counts":
		control.Reply(w, http.StatusOK, m.Counts())
	case "POST revoke":
		var who struct {
			ParticipantID string `json:"participantID"`
		}
		if err := control.Decode(r, &who); err != nil {
			control.Reply(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
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
		control.Reply(w, http.StatusNotFound, map[string]string{"message": "no such control call"})
	}
}
