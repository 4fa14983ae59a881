// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/redact"
)

var errCompressed = errors.New("the platform compressed an answer that may repeat the credential, though it was asked not to")

// cleanResponse removes from the response what is not the platform's to say
// under this server's origin, and makes the addresses in it this server's.
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
	switch {
	case p.upstream.CredentialInURL:
		err = p.redactCredential(req, res)
	case policy.HasAddresses(res.Header):
		err = p.mount(req).Localize(res.Header, res.StatusCode)
	}
	if err != nil {
		_ = res.Body.Close()
		return p.refusalResponse(req, err)
	}
	p.cleanTrailer(res.Trailer)
	if !upgrade {
		p.responseBody = upstreamBody{res.Body, p, res}
		res.Body = &p.responseBody
	}
	return res
}

// cleanInformational cleans an informational response (1xx).
func (p *proxiedRequest) cleanInformational(req *http.Request, h http.Header) {
	headers.Clean1xx(h)
	if p.upstream.CredentialInURL {
		delete(h, "Link")
		return
	}
	p.mount(req).LocalizeLinks(h)
}

// Read notes when the platform breaks off within its response. What it says
// behind the body is cleaned.
func (b *upstreamBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	switch {
	case err == nil:
	case err == io.EOF:
		if mayHaveTrailers(b.response) {
			b.request.cleanTrailer(b.response.Trailer)
		}
	case b.request.Err() == nil: // else it is the client who broke off
		b.request.outcome.label = outcomeBrokenOff
	}
	return n, err
}

// mayHaveTrailers reports whether trailers may follow: not in HTTP/1.1 unless
// the body is chunked (RFC 9112 section 7.1.2).
func mayHaveTrailers(res *http.Response) bool { return res.ProtoMajor > 1 || res.ContentLength < 0 }

func (p *proxiedRequest) cleanTrailer(trailer http.Header) {
	p.headerRules.responseHeaders.Trailer(trailer)
	redactHeader(trailer, p.secrets)
}

// redactCredential keeps the credential, which stands in the address of the
// request, out of a response that repeats it: an error page, or a redirect.
func (p *proxiedRequest) redactCredential(req *http.Request, res *http.Response) error {
	if len(res.Header["Location"]) > 0 && res.StatusCode/100 == 3 {
		return delegation.Refuse(delegation.UpstreamRedirected, nil)
	}
	policy.RemoveAddresses(res.Header)
	if p.credential == nil {
		return nil
	}
	values, err := p.disclose()
	if err != nil {
		return err
	}
	if hasBody(req, res) && isCompressed(res.Header) {
		return delegation.Refuse(delegation.UpstreamUnreadable, errCompressed)
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

// mount is where the platform is on this server: what was stripped from the
// front of the path on its way here, such as /mdh with handle_path /mdh/*, and
// what the provider has cut off it.
func (p *proxiedRequest) mount(req *http.Request) policy.Mount {
	_, path := receivedAddress(req)
	return policy.Mount{
		Scheme: p.upstream.Scheme, Host: p.upstream.Host, Prefix: p.upstream.Prefix, Cut: p.upstream.Mount, Path: p.upstreamPath,
		Received: path, Forwarded: req.URL.EscapedPath(),
	}
}

// receivedAddress is the host and escaped path by which the client asked, before
// any rewrite.
func receivedAddress(req *http.Request) (host, path string) {
	if original, ok := req.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return req.Host, original.URL.EscapedPath() // Caddy keeps no Host there
	}
	return req.Host, req.URL.EscapedPath()
}
