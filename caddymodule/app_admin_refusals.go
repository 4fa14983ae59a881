// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/refusals"
)

// refusals answers GET /delegate/refusals with what this process remembers of
// refusals: those of the request of ?request_id=…, or the newest of ?last=…, of one
// code with &code=…. It names no person.
func (adminAPI) refusals(w http.ResponseWriter, r *http.Request) error {
	if _, err := activeApp(w, r, http.MethodGet); err != nil {
		return err
	}
	q := r.URL.Query()
	answer := refusals.Answer{Since: refusalHistory.Since()}
	if id := q.Get("request_id"); id != "" {
		answer.Refusals = refusalHistory.Find(id)
		return writeJSON(w, http.StatusOK, answer)
	}
	last, err := strconv.Atoi(q.Get("last"))
	if err != nil || last < 1 {
		return badRequest(errors.New("say whose refusals are asked for: ?request_id=<id>, or the newest by ?last=<number>"))
	}
	answer.Refusals = refusalHistory.Latest(last, delegation.Code(q.Get("code")))
	return writeJSON(w, http.StatusOK, answer)
}
