// SPDX-License-Identifier: Apache-2.0

package control

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
)

// sameOrigin keeps web pages from driving the simulator of whoever visits them.
var sameOrigin = http.NewCrossOriginProtection()

// Admit refuses control calls that are not from loopback and the same origin.
func Admit(w http.ResponseWriter, r *http.Request) bool {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() || sameOrigin.Check(r) != nil {
		Reply(w, http.StatusForbidden, map[string]string{"message": "control is for loopback and the same origin only"})
		return false
	}
	return true
}

// After is the query parameter of that name, 0 if there is none.
func After(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil && r.URL.Query().Has("after") {
		return 0, errors.New("after is a whole number")
	}
	return n, nil
}

// Decode reads a JSON body; none at all changes nothing.
func Decode(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Reply answers with JSON.
func Reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
