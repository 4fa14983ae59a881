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
	control.Serve(w, r, func() (any, error) {
		name := r.Method + " " + strings.Join(segments, "/")
		switch name {
		case "POST revoke":
			var who struct {
				ParticipantID string `json:"participantID"`
			}
			if err := control.Decode(r, &who); err != nil {
				return nil, err
			}
			m.Revoke(who.ParticipantID)
		case "POST revoke-service":
			m.RevokeService()
		case "POST release":
			m.Release()
		case "POST reset":
			m.Reset()
		default:
			return control.Common(r, name, m.settings, &m.records)
		}
		return nil, nil
	})
}
