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

// ErrUnknown tells that there is no such control call.
var ErrUnknown = errors.New("no such control call")

// Local returns whether a request comes from loopback, and from no page of
// another origin.
func Local(r *http.Request) bool {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() && sameOrigin.Check(r) == nil
}

// Serve answers a control call with what it returns, if that is something. Only
// loopback and the same origin may make it.
func Serve(w http.ResponseWriter, r *http.Request, call func() (any, error)) {
	if !Local(r) {
		reply(w, http.StatusForbidden, message{"control is for loopback and the same origin only"})
		return
	}
	switch answer, err := call(); {
	case errors.Is(err, ErrUnknown):
		reply(w, http.StatusNotFound, message{err.Error()})
	case err != nil:
		reply(w, http.StatusBadRequest, message{err.Error()})
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		reply(w, http.StatusOK, answer)
	}
}

// Common are the control calls that every simulator has.
func Common[S, R, C any](r *http.Request, name string, settings *Settings[S], records *Records[R, C]) (any, error) {
	switch name {
	case "GET settings":
		return settings.Get(), nil
	case "PATCH settings":
		err := settings.Change(func(s *S) error { return Decode(r, s) })
		return settings.Get(), err
	case "GET records":
		after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil && r.URL.Query().Has("after") {
			return nil, errors.New("after is a whole number")
		}
		return records.After(after), nil
	case "GET counts":
		return records.Counts(), nil
	}
	return nil, ErrUnknown
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

type message struct {
	Message string `json:"message"`
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
