// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Outage is how an area fails. The parts combine: hold, then delay, then reset
// or answer. An Outage with neither Reset nor Status only slows the area down.
type Outage struct {
	// Hold makes requests wait until it is turned off or the client leaves.
	Hold bool `json:"hold,omitempty"`
	// Delay is in milliseconds.
	Delay int `json:"delay,omitempty"`
	// Reset drops the connection without an answer.
	Reset bool `json:"reset,omitempty"`
	// Status is answered instead of the real answer.
	Status int `json:"status,omitempty"`
	// Header goes with Status.
	Header map[string]string `json:"header,omitempty"`
	// Body goes with Status. Default: the platform's own for an error.
	Body string `json:"body,omitempty"`
}

// Apply does to a call what the outage says, once it is not held back. fail
// answers with the platform's own error. It returns whether the call is to be
// served.
func (o Outage) Apply(ctx context.Context, w http.ResponseWriter, fail func(status int, message string)) bool {
	if o.Delay > 0 {
		t := time.NewTimer(time.Duration(o.Delay) * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
	switch {
	case o.Reset:
		drop(w)
		return false
	case o.Status == 0:
		return true
	}
	for name, value := range o.Header {
		w.Header().Set(name, value)
	}
	if o.Body == "" {
		fail(o.Status, "simulated: "+http.StatusText(o.Status))
		return false
	}
	w.WriteHeader(o.Status)
	_, _ = w.Write([]byte(o.Body))
	return false
}

// drop ends a connection without an answer.
func drop(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = t.NetConn()
		}
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // RST, not FIN
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler) // HTTP/2 and 3: resets the stream
}

// Outages are by area.
type Outages map[string]Outage

// Clone copies all that they lead to.
func (all Outages) Clone() Outages {
	all = maps.Clone(all)
	for area, o := range all {
		o.Header = maps.Clone(o.Header)
		all[area] = o
	}
	return all
}

// Check tells which of them mean nothing.
func (all Outages) Check(areas ...string) error {
	for area, o := range all {
		if !slices.Contains(areas, area) {
			return fmt.Errorf("outages: %q is none of %s", area, strings.Join(areas, ", "))
		}
		if o.Status != 0 && !IsStatus(o.Status) {
			return fmt.Errorf("outages: %s: status %d is not between 200 and 599", area, o.Status)
		}
	}
	return nil
}

// IsStatus tells whether a code may be answered.
func IsStatus(code int) bool { return code >= 200 && code <= 599 }
