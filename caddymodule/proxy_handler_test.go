// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestClientErrorResponse protects the upstream from a client's faults: one that left
// is cancelled, which counts nowhere, any other gets an answer.
func TestClientErrorResponse(t *testing.T) {
	p, _ := openTestProvider(t, "", zap.NewNop(), nil)
	directive := testDirective(t, p, SubjectSettings{}, zap.NewNop())
	ctx, leave := context.WithCancel(t.Context())
	proxied := testProxiedRequest(t, &directive, delegation.Person{})
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://x", nil)
	for err, status := range map[error]int{io.ErrUnexpectedEOF: 400, caddyhttp.Error(413, errors.New("too large")): 413} {
		res, fault := proxied.clientErrorResponse(req, err)
		if fault != nil || res.StatusCode != status || res.Header.Get("Cache-Control") == "" {
			t.Errorf("%v: %v, %v; want %d", err, res, fault, status)
		}
	}
	leave()
	if res, err := proxied.clientErrorResponse(req, io.ErrUnexpectedEOF); res != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v, %v", res, err)
	}
}
