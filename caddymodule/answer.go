// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/redact"
)

var (
	errEncoded      = errors.New("the platform compressed an answer that may repeat the credential, though it was asked not to")
	errUnsearchable = errors.New("this provider's credential stands in the address, which the platform may repeat: a WebSocket, masked and compressed, cannot be searched for it")
	errUndisclosed  = errors.New("the provider keeps its credential in addresses and does not tell what is secret of it: mend the provider")
)

// cleanResponse takes out of the answer what is not the platform's to say under this
// server's origin, and keeps where it leads to here.
func (p *proxiedRequest) cleanResponse(req *http.Request, res *http.Response) *http.Response {
	upgrade := res.StatusCode == http.StatusSwitchingProtocols
	p.headerRules.responseHeaders.Clean(res.Header, upgrade)
	headers.SetPlatformHeaders(res.Header, p.delegation.Public, upgrade)
	if res.StatusCode == http.StatusTooManyRequests {
		headers.SetRetryAfter(res.Header)
	}
	if !upgrade && headers.IsMedia(res.Header) {
		host, path := receivedAddress(req)
		headers.AllowPlayback(res.Header, host, path)
	}
	var err error
	if p.upstream.CredentialInURL {
		err = p.redactCredential(req, res)
	} else {
		err = p.localizeAddresses(req, res)
	}
	if err != nil {
		_ = res.Body.Close()
		return p.directive.refusalResponse(req, err)
	}
	p.cleanTrailer(res.Trailer)
	if !upgrade {
		p.responseBody = upstreamBody{res.Body, p, res}
		res.Body = &p.responseBody
	}
	return res
}

// mayHaveTrailers tells whether trailers may follow: not in HTTP/1.1 unless the body
// is chunked (RFC 9112 section 7.1.2).
func mayHaveTrailers(res *http.Response) bool { return res.ProtoMajor > 1 || res.ContentLength < 0 }

func (p *proxiedRequest) cleanTrailer(trailer http.Header) {
	p.headerRules.responseHeaders.Trailer(trailer)
	redactHeader(trailer, p.secrets)
}

// redactCredential keeps the credential, which stands in the address of the request, out of
// an answer that repeats it: an error page, or a redirect.
func (p *proxiedRequest) redactCredential(req *http.Request, res *http.Response) error {
	if len(res.Header["Location"]) > 0 && res.StatusCode/100 == 3 {
		return delegation.Refuse(delegation.UpstreamRedirected, nil)
	}
	for _, name := range [...]string{"Location", "Content-Location", "Link"} {
		delete(res.Header, name)
	}
	if p.credential == nil {
		return nil
	}
	values, err := p.disclose()
	if err != nil {
		return err
	}
	if hasBody(req, res) && isCompressed(res.Header) {
		return delegation.Refuse(delegation.UpstreamUnreadable, errEncoded)
	}
	p.secrets = redact.New(values...)
	redactHeader(res.Header, p.secrets)
	res.Status = fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)) // {rp.status_text}
	res.Body = p.secrets.Reader(res.Body)
	return nil
}

func redactHeader(h http.Header, secrets *redact.Secrets) {
	if secrets == nil {
		return
	}
	for _, values := range h {
		for i, value := range values {
			values[i] = secrets.Text(value)
		}
	}
}

func hasBody(req *http.Request, res *http.Response) bool {
	return req.Method != http.MethodHead && res.StatusCode != http.StatusNoContent && res.StatusCode != http.StatusNotModified && res.Body != http.NoBody
}

func isCompressed(h http.Header) bool {
	encoding := strings.ToLower(strings.Join(h["Content-Encoding"], ","))
	return strings.Trim(encoding, ", ") != "" && encoding != "identity"
}

// localizeAddresses makes where the platform leads to addresses of this server. A
// redirect to another host, or out of the platform's base path or the path that
// it is mounted at, is not passed on: the browser would follow it with whatever
// its path holds, or as the app's own user.
func (p *proxiedRequest) localizeAddresses(req *http.Request, res *http.Response) error {
	h := res.Header
	if len(h["Location"])+len(h["Content-Location"])+len(h["Link"]) == 0 {
		return nil
	}
	m := p.mount(req)
	for _, name := range [...]string{"Location", "Content-Location"} {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		if len(values) == 1 {
			if local, ok := m.LocalURL(values[0]); ok {
				values[0] = local
				continue
			}
		}
		if name == "Location" && res.StatusCode/100 == 3 {
			return delegation.Refuse(delegation.UpstreamRedirected, nil)
		}
		delete(h, name) // nobody is led there: the address of what was created
	}
	p.localizeLinks(m, h)
	return nil
}

func (p *proxiedRequest) localizeLinks(m policy.Mount, h http.Header) {
	links, ok := h["Link"]
	if !ok {
		return
	}
	if links = m.LocalLinks(links); len(links) == 0 {
		delete(h, "Link")
		return
	}
	h["Link"] = links
}

// cleanInformational cleans an informational answer (1xx).
func (p *proxiedRequest) cleanInformational(req *http.Request, h http.Header) {
	headers.Clean1xx(h)
	if p.upstream.CredentialInURL {
		delete(h, "Link")
		return
	}
	p.localizeLinks(p.mount(req), h)
}

// mount is where the platform is on this server: what was stripped from the
// front of the path on its way here, such as /mdh with handle_path /mdh/*.
func (p *proxiedRequest) mount(req *http.Request) policy.Mount {
	_, path := receivedAddress(req)
	return policy.Mount{
		Scheme: p.upstream.Scheme, Host: p.upstream.Host, Prefix: p.upstream.Prefix, Path: p.delegation.Path,
		Received: path, Forwarded: req.URL.EscapedPath(),
	}
}

// receivedAddress is the address by which the client asked, before any rewrite.
func receivedAddress(req *http.Request) (host, path string) {
	if original, ok := req.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return req.Host, original.URL.EscapedPath() // Caddy keeps no Host there
	}
	return req.Host, req.URL.EscapedPath()
}

func setPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return fmt.Errorf("path of the upstream: %w", err)
	}
	u.Path, u.RawPath = path, escaped
	return nil
}
