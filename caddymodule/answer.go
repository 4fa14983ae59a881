// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// clean takes out of the answer what is not the platform's to say under this
// server's origin, and keeps a redirect here.
func (p *passage) clean(req *http.Request, res *http.Response) *http.Response {
	headers.Clean(res.Header)
	p.cleanTrailer(res)
	if res.StatusCode != http.StatusSwitchingProtocols {
		p.watched = watchedBody{res.Body, p, res}
		res.Body = &p.watched
	}
	location := res.Header["Location"]
	if p.upstream.Secretive {
		withoutAddresses(res.Header)
		if len(location) == 0 || res.StatusCode/100 != 3 {
			return res
		}
		_ = res.Body.Close()
		return p.gate.response(req, delegation.Refuse(delegation.UpstreamRedirected, nil))
	}
	if len(location) == 0 {
		return res
	}
	local, ok := p.localize(req, location)
	if !ok {
		_ = res.Body.Close()
		return p.gate.response(req, delegation.Refuse(delegation.UpstreamRedirected, nil))
	}
	res.Header["Location"] = []string{local}
	return res
}

// mayTrail tells whether trailers may follow: not in HTTP/1.1 unless the body
// is chunked (RFC 9112 section 7.1.2).
func mayTrail(res *http.Response) bool { return res.ProtoMajor > 1 || res.ContentLength < 0 }

func (p *passage) cleanTrailer(res *http.Response) {
	headers.CleanTrailer(res.Trailer)
	if p.upstream.Secretive {
		withoutAddresses(res.Trailer)
	}
}

// withoutAddresses takes out what may repeat the address of the request.
func withoutAddresses(h http.Header) {
	for _, name := range [...]string{"Location", "Content-Location", "Link", "Sourcemap", "X-Sourcemap"} {
		delete(h, name)
	}
}

// localize makes a redirect of the platform one of this server's. One to
// another host, or out of the platform's base path, is not passed on: the
// browser would follow it with whatever its path holds. Browsers read a
// backslash as a slash, and a path of two as a host.
func (p *passage) localize(req *http.Request, location []string) (string, bool) {
	if len(location) != 1 || strings.Contains(location[0], `\`) {
		return "", false
	}
	u, err := url.Parse(location[0])
	if err != nil || u.Opaque != "" || u.User != nil {
		return "", false
	}
	if u.Host == "" && (u.Scheme != "" || strings.HasPrefix(u.Path, "//")) || u.Host != "" && !strings.EqualFold(u.Host, p.upstream.Host) {
		return "", false
	}
	if u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		return location[0], true // relative to where the browser is
	}
	path, ok := strings.CutPrefix(cmp.Or(u.EscapedPath(), "/"), p.upstream.Prefix+"/")
	if !ok || strings.HasPrefix(path, "/") {
		return "", false
	}
	u.Scheme, u.Host = "", ""
	if err := setPath(u, mount(req)+"/"+path); err != nil {
		return "", false
	}
	return u.String(), true
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
