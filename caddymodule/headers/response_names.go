// SPDX-License-Identifier: Apache-2.0

package headers

import "strings"

// allowedInResponse are the response headers that are always allowed, in the
// spelling of net/http: those that describe the content, and those that say
// when and how to request it again. Any other header could control a cache in
// front of this server, the page, or the app's origin; browsers learn new ones
// every year.
var allowedInResponse = map[string]struct{}{
	// The content (RFC 9110 sections 8 and 14, RFC 9530).
	"Content-Type": {}, "Content-Length": {}, "Content-Encoding": {}, "Content-Language": {}, "Content-Disposition": {},
	"Content-Range": {}, "Accept-Ranges": {}, "Etag": {}, "Last-Modified": {}, "Date": {}, "Vary": {},
	"Content-Digest": {}, "Repr-Digest": {}, "Digest": {}, "Content-Md5": {}, "X-Checksum": {},
	// When and how to request again. See also isRateLimit.
	"Allow": {}, "Retry-After": {},
	// Other addresses. Whoever calls Clean keeps them within this server.
	"Location": {}, "Content-Location": {}, "Link": {},
	// The number by which the platform's support finds a request.
	"X-Request-Id": {}, "X-Correlation-Id": {}, "Request-Id": {},
}

// isRateLimit reports whether a header states a rate limit: RateLimit,
// RateLimit-* or X-RateLimit-*.
func isRateLimit(name string) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "X-"), "Ratelimit")
	return ok && (rest == "" || rest[0] == '-') && lettersAndHyphens(rest)
}

// allowedInTrailers are the names that are always allowed in trailers, of
// requests and responses: digests, which are known only at the end of the
// content.
var allowedInTrailers = map[string]struct{}{"Content-Digest": {}, "Repr-Digest": {}, "Digest": {}, "Content-Md5": {}, "X-Checksum": {}}

// webSocketResponse are the headers of a response 101 to a handshake (RFC 6455
// section 4.2.2).
var webSocketResponse = map[string]struct{}{
	"Upgrade": {}, "Sec-Websocket-Accept": {}, "Sec-Websocket-Protocol": {}, "Sec-Websocket-Extensions": {}, "Sec-Websocket-Version": {},
}

// forbiddenInResponse are the response headers that an operator cannot allow:
// by them the platform would act as the app, or as this server.
var forbiddenInResponse = newNameSet(
	// State and rules of the origin, and of the page.
	`set-cookie set-cookie2 clear-site-data strict-transport-security expect-ct public-key-pins
	 service-worker-allowed nel report-to alt-svc alt-used accept-ch critical-ch set-login idp-signin-status
	 activate-storage-access observe-browsing-topics origin-trial origin-agent-cluster supports-loading-mode
	 speculation-rules use-as-dictionary no-vary-search x-dns-prefetch-control timing-allow-origin
	 x-frame-options x-content-type-options x-xss-protection x-download-options x-permitted-cross-domain-policies
	 x-webkit-csp x-ua-compatible x-robots-tag refresh sourcemap x-sourcemap default-style
	 content-script-type content-style-type link-template`+
		// Instructions to scripts of the page.
		` hx-location hx-push-url hx-redirect hx-refresh hx-replace-url hx-reselect hx-reswap hx-retarget hx-trigger
	 hx-trigger-after-settle hx-trigger-after-swap x-inertia-location turbo-location`+
		// Challenges, credentials, and what this server says of itself.
		` authentication-info authorization server via host x-powered-by`+
		// Headers of one connection (RFC 9110 section 7.6.1).
		` connection keep-alive te trailer transfer-encoding upgrade http2-settings`+
		// Instructions to caches and servers in front of this one.
		` pragma expires age warning cache-status cache-tag cache-tags x-cache-tags xkey x-key
	 purge-cache-tags x-cache-key x-magento-tags
	 x-lighttpd-send-file x-lighttpd-send-tempfile x-reproxy-url`,
	"access-control-", "attribution-reporting-", "proxy-", "public-key-pins-", "reporting-", "sec-", "secure-session-", "shared-storage-", "ad-auction-",
	"akamai-", "cache-group", "cdn-", "cf-", "cloudflare-", "edge-", "fastly-", "netlify-", "surrogate-", "vercel-",
	"x-accel-", "x-edge-", "x-fastly-", "x-litespeed-", "x-lsadc-", "x-nf-", "x-sendfile", "x-varnish", "x-vercel-",
	"x-forwarded", "x-http-method", "x-method-override", "x-middleware-", "x-original-", "x-rewrite-",
)

// isForbiddenInResponse reports whether a name, in any spelling, is in
// [forbiddenInResponse], or ends as policies, challenges and cookies do.
func isForbiddenInResponse(name string) bool {
	if forbiddenInResponse.contains(name) {
		return true
	}
	folded := strings.ToLower(name)
	for _, end := range [...]string{"-policy", "-policy-report-only", "cache-control", "-authenticate", "-authentication-info", "-cookie"} {
		if strings.HasSuffix(folded, end) {
			return true
		}
	}
	return false
}
