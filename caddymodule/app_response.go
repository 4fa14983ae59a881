// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// writeJSON writes a response of this server's own, as application/json. It and
// [writeBody] are the only writers of such responses, so that none goes out
// without the headers of [headers.SetOwnHeaders]. The error is that of
// marshalling, or of writing to the client.
func writeJSON(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return writeBody(w, status, "application/json", body)
}

// writeBody is [writeJSON] for a body of the given media type.
func writeBody(w http.ResponseWriter, status int, mediaType string, body []byte) error {
	h := w.Header()
	headers.SetOwnHeaders(h)
	h.Set("Content-Security-Policy", headers.OwnPolicy)
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body) // net/http drops the body of a response to HEAD
	return err
}
