// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// clean takes out of the answer what is not the platform's to say under this
// server's origin, and keeps a redirect here. One to another host is not
// passed on: the browser would follow it with whatever its path holds.
func (p *passage) clean(req *http.Request, res *http.Response) *http.Response {
	headers.Clean(res.Header)
	location := res.Header.Get("Location")
	if location == "" {
		return res
	}
	u, err := url.Parse(location)
	if err != nil || u.Host != "" && !strings.EqualFold(u.Host, p.upstream.Host) || u.Host == "" && u.Scheme != "" {
		discard(res)
		return p.gate.response(req, delegation.Refuse(delegation.UpstreamRedirected, nil))
	}
	if path, ok := strings.CutPrefix(u.EscapedPath(), p.upstream.Prefix+"/"); ok {
		u.Scheme, u.Host = "", ""
		if err := setPath(u, mount(req)+"/"+path); err == nil {
			res.Header["Location"] = []string{u.String()}
		}
	}
	return res
}

// mount is what was stripped from the front of the path on its way here, such
// as /mdh with handle_path /mdh/*.
func mount(req *http.Request) string {
	received, ok := req.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return ""
	}
	prefix, ok := strings.CutSuffix(received.URL.EscapedPath(), req.URL.EscapedPath())
	if !ok {
		return ""
	}
	return prefix
}

func setPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return fmt.Errorf("path of the upstream: %w", err)
	}
	u.Path, u.RawPath = path, escaped
	return nil
}
