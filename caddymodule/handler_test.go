// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
		if method, upgrade := wireMethod(&c.request); method != c.method || upgrade != c.upgrade {
			t.Errorf("%s: %s %t, want %s %t", name, method, upgrade, c.method, c.upgrade)
		}
	}
}

// TestClientErrorResponse protects the upstream from a client's faults: one that left
// is cancelled, which counts nowhere, any other gets an answer.
func TestClientErrorResponse(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://x", nil)
	for err, status := range map[error]int{io.ErrUnexpectedEOF: 400, caddyhttp.Error(413, errors.New("too large")): 413} {
		res, fault := clientErrorResponse(req, err)
		if fault != nil || res.StatusCode != status || res.Header.Get("Cache-Control") == "" {
			t.Errorf("%v: %v, %v; want %d", err, res, fault, status)
		}
	}
	leave()
	if res, err := clientErrorResponse(req, io.ErrUnexpectedEOF); res != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v, %v", res, err)
	}
}

// TestHeadersTooLarge protects the upstream's limit, which counts names and 32 bytes
// a field besides the values.
func TestHeadersTooLarge(t *testing.T) {
	many := make(http.Header)
	for i := range 150 {
		many["Accept-"+strings.Repeat("x", i)] = []string{""}
	}
	for name, c := range map[string]struct {
		uri  string
		h    http.Header
		want bool
	}{
		"usual":  {"/api/v1/delegated/participant", http.Header{"Accept": {"*/*"}}, false},
		"target": {"/" + strings.Repeat("a", maxHeaders), nil, true},
		"value":  {"/", http.Header{"Accept": {strings.Repeat("a", maxHeaders)}}, true},
		"values": {"/", http.Header{"Accept": make([]string, maxHeaders/32)}, true},
		"names":  {"/", many, true},
	} {
		if got := headersTooLarge(c.uri, c.h); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
