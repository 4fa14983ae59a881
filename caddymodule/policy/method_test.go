// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"testing"
)

// TestWireMethod protects the policy from being asked about another method than is
// sent, and WebSocket over HTTP/2 and 3 from being taken for a tunnel.
func TestWireMethod(t *testing.T) {
	for name, c := range map[string]struct {
		request http.Request
		method  string
		upgrade bool
	}{
		"get":                {http.Request{Method: "GET"}, "GET", false},
		"handshake":          {http.Request{Method: "GET", Header: http.Header{"Upgrade": {"WebSocket"}}}, "GET", true},
		"handshake by post":  {http.Request{Method: "POST", Header: http.Header{"Upgrade": {"websocket"}}}, "POST", true},
		"other protocol":     {http.Request{Method: "GET", Header: http.Header{"Upgrade": {"h2c"}}}, "GET", false},
		"tunnel":             {http.Request{Method: "CONNECT", ProtoMajor: 1}, "CONNECT", false},
		"tunnel over 2":      {http.Request{Method: "CONNECT", ProtoMajor: 2}, "CONNECT", false},
		"websocket over 2":   {http.Request{Method: "CONNECT", ProtoMajor: 2, Header: http.Header{":protocol": {"websocket"}}}, "GET", true},
		"other over 2":       {http.Request{Method: "CONNECT", ProtoMajor: 2, Header: http.Header{":protocol": {"connect-udp"}}}, "CONNECT", false},
		"websocket over 3":   {http.Request{Method: "CONNECT", ProtoMajor: 3, Proto: "websocket"}, "GET", true},
		"header over 1 only": {http.Request{Method: "CONNECT", ProtoMajor: 1, Header: http.Header{":protocol": {"websocket"}}}, "CONNECT", false},
	} {
		if method, upgrade := WireMethod(&c.request); method != c.method || upgrade != c.upgrade {
			t.Errorf("%s: %s %t, want %s %t", name, method, upgrade, c.method, c.upgrade)
		}
	}
}
