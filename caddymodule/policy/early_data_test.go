// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT51_EarlyData protects from requests that were recorded and sent again:
// in TLS 1.3 early data nobody has shown yet that they are there.
func TestT51_EarlyData(t *testing.T) {
	said := http.Header{"Early-Data": {"1"}}
	complete, incomplete := &tls.ConnectionState{HandshakeComplete: true}, &tls.ConnectionState{}
	for _, c := range []struct {
		method  string
		header  http.Header
		tls     *tls.ConnectionState
		upgrade bool
		refused bool
	}{
		{"POST", nil, nil, false, false},
		{"POST", nil, complete, false, false},
		{"POST", nil, incomplete, false, true},
		{"POST", said, complete, false, true},
		{"DELETE", said, nil, false, true},
		{"POST", http.Header{"Early-Data": {"0", "1"}}, nil, false, true},
		{"POST", http.Header{"Early-Data": {"0"}}, nil, false, true},
		{"POST", http.Header{"Early-Data": {""}}, nil, false, true},
		{"GET", said, incomplete, false, false},
		{"HEAD", said, incomplete, false, false},
		{"GET", said, complete, true, true},
	} {
		r := CheckEarlyData(&http.Request{Method: c.method, Header: c.header, TLS: c.tls}, c.upgrade)
		if (r != nil) != c.refused || c.refused && r.Code != delegation.TooEarly {
			t.Errorf("%+v: %v", c, r)
		}
	}
}
