// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// probeTimeout bounds a question to what the operator runs.
const probeTimeout = 10 * time.Second

// probeClient asks by itself: no proxy, no redirect.
func probeClient() *http.Client {
	return &http.Client{
		Timeout:       probeTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// probeAuthServer asks the server of a forward_auth as Caddy would, for a request
// that has no session: it must name nobody. node is the reverse_proxy that
// forward_auth stands for, header the one that the subject is read from.
func probeAuthServer(ctx context.Context, node map[string]any, header string) delegation.Finding {
	address, method, ok := authAddress(node)
	if !ok {
		return delegation.Finding{Detail: "is set by forward_auth, whose server is not asked: its address is not written out", Skipped: true}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return delegation.Finding{Detail: "is set by forward_auth, whose server has no address that can be asked", Skipped: true}
	}
	req.Header.Set("X-Forwarded-Method", http.MethodGet)
	req.Header.Set("X-Forwarded-Uri", "/")
	res, err := probeClient().Do(req)
	if err != nil {
		return delegation.Finding{Detail: fmt.Sprintf("is set by forward_auth, whose server at %s does not answer: %s", req.URL.Host, neterror.Cause(err))}
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	said := fmt.Sprintf("forward_auth's server says %d to whoever has no session", res.StatusCode)
	switch {
	case res.StatusCode/100 == 2 && res.Header.Get(header) != "":
		return delegation.Finding{Detail: said + ", and names a user: anybody is signed in as that one"}
	case res.StatusCode/100 == 2:
		return delegation.Finding{
			Detail: said + ", and sends no " + header + " (it sends " + headerNames(res.Header) + "); see that it does to whoever is signed in", OK: true,
		}
	case res.StatusCode == http.StatusNotFound || res.StatusCode >= http.StatusInternalServerError:
		return delegation.Finding{Detail: said + ": see that forward_auth's uri is the server's own"}
	default:
		return delegation.Finding{Detail: said + "; see with curl that to whoever is signed in it sends " + header, OK: true}
	}
}

// headerNames are the names, and nothing of the values.
func headerNames(h http.Header) string {
	return strings.Join(slices.Sorted(maps.Keys(h)), ", ")
}

// authAddress is where a forward_auth asks, and how.
func authAddress(node map[string]any) (address, method string, ok bool) {
	upstreams, _ := node["upstreams"].([]any)
	if len(upstreams) == 0 {
		return "", "", false
	}
	first, _ := upstreams[0].(map[string]any)
	dial, err := caddy.NewReplacer().ReplaceOrErr(text(first, "dial"), true, true)
	if err != nil || dial == "" || strings.Contains(dial, "/") {
		return "", "", false // a socket, or what only a request tells
	}
	rewrite, _ := node["rewrite"].(map[string]any)
	uri := text(rewrite, "uri")
	if !strings.HasPrefix(uri, "/") || strings.Contains(uri, "{") {
		return "", "", false
	}
	if method = text(rewrite, "method"); method == "" || strings.Contains(method, "{") {
		method = http.MethodGet
	}
	scheme := "http"
	if transport, _ := node["transport"].(map[string]any); transport["tls"] != nil {
		scheme = "https"
	}
	return scheme + "://" + dial + uri, method, true
}
