// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// writeJSON writes an answer of this server's own. Nothing else here writes
// JSON to a client, so that none goes without the rules of [headers.SetOwn].
func writeJSON(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return writeBody(w, status, "application/json", body)
}

func writeBody(w http.ResponseWriter, status int, kind string, body []byte) error {
	h := w.Header()
	headers.SetOwnHeaders(h)
	h.Set("Content-Security-Policy", headers.OwnPolicy)
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body) // net/http drops that of HEAD
	return err
}
