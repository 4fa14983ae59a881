// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// answered are all response headers that cross.
func answered() http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"2"}, "Content-Encoding": {"gzip"}, "Content-Language": {"de"}, "Content-Disposition": {"attachment"},
		"Content-Range": {"bytes 0-1/2"}, "Accept-Ranges": {"bytes"}, "Etag": {`"x"`}, "Last-Modified": {"x"}, "Date": {"x"}, "Vary": {"Accept-Encoding"},
		"Content-Digest": {"x"}, "Repr-Digest": {"x"}, "Digest": {"x"}, "Content-Md5": {"x"}, "X-Checksum": {"x"},
		"Allow": {"GET"}, "Retry-After": {"3600"}, "Location": {"/x"}, "Content-Location": {"/x"}, "Link": {"</x>; rel=next"},
		"X-Request-Id": {"1"}, "X-Correlation-Id": {"1"}, "Request-Id": {"1"},
		"Ratelimit": {"x"}, "Ratelimit-Policy": {"x"}, "Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"999"}, "Ratelimit-Reset": {"1"}, "X-Ratelimit-Limit": {"1000"}, "X-Ratelimit-Remaining": {"1"},
	}
}

// dangerous are response headers by which a platform would rule what it is only
// a guest of: the origin, the page, this server, one connection, caches in front.
var dangerous = []string{
	"Set-Cookie", "Set-Cookie2", "WWW-Authenticate", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info", "Authorization",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Private-Network", "Timing-Allow-Origin",
	"Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed", "Refresh", "NEL", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Alt-Used",
	"Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-CT", "Accept-CH", "Critical-CH", "Set-Login", "IdP-SignIn-Status", "Sec-Session-Registration", "Secure-Session-Registration", "Secure-Session-Challenge", "Sec-GPC",
	"Speculation-Rules", "Use-As-Dictionary", "No-Vary-Search", "Supports-Loading-Mode", "Origin-Agent-Cluster", "Origin-Trial", "Activate-Storage-Access", "Observe-Browsing-Topics",
	"Attribution-Reporting-Register-Source", "Attribution-Reporting-Register-Trigger", "Shared-Storage-Write", "Ad-Auction-Signals", "X-DNS-Prefetch-Control",
	"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Permissions-Policy", "Permissions-Policy-Report-Only", "Feature-Policy", "Document-Policy", "Require-Document-Policy", "Referrer-Policy", "Integrity-Policy", "Signature-Policy",
	"Cross-Origin-Opener-Policy", "Cross-Origin-Opener-Policy-Report-Only", "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy", "Origin-Policy", "X-WebKit-CSP",
	"X-Frame-Options", "X-XSS-Protection", "X-Content-Type-Options", "X-Permitted-Cross-Domain-Policies", "X-Download-Options", "X-UA-Compatible", "X-Robots-Tag",
	"SourceMap", "X-SourceMap", "Default-Style", "Content-Script-Type", "Link-Template", "HX-Redirect", "HX-Location", "HX-Trigger-After-Swap", "X-Inertia-Location", "Turbo-Location",
	"Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Surrogate-Key", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control", "Netlify-CDN-Cache-Control", "Netlify-Vary", "Akamai-Cache-Control", "Fastly-Cache-Control", "Edge-Control", "Edge-Cache-Tag",
	"Cache-Groups", "Cache-Group-Invalidation", "Purge-Cache-Tags", "X-Cache-Key", "X-Magento-Tags", "Cache-Tag", "Cache-Tags", "Cache-Status", "CDN-Loop", "CF-Cache-Status", "Expires", "Pragma", "Age", "Warning", "X-Key", "xkey", "X-Vercel-Cache",
	"X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Buffering", "X-Accel-Charset", "X-Accel-Limit-Rate", "X-Sendfile", "X-Sendfile-Temporary", "X-Lighttpd-Send-File", "X-LiteSpeed-Cache-Control", "X-LiteSpeed-Location", "X-LiteSpeed-Purge", "X-Reproxy-URL", "X-Varnish",
	"Server", "Via", "X-Powered-By", "Proxy-Status", "Host", "X-Forwarded-For", "X-Original-URL", "X-HTTP-Method-Override",
	"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "HTTP2-Settings",
}

// unlisted are not known to do anything, today.
var unlisted = []string{"X-Total-Count", "X-Anything", "Server-Timing", "Deprecation", "Content-Anything", "Ratelimited", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Unknown", "x", "X_Request_Id", "Content.type", "etag", "content-type", ""}

// On the app's origin, the platform's cookies, challenges and rules would be
// the app's own, and in front of it a cache's (T18, A12).
func TestT18_AnswersAreCleaned(t *testing.T) {
	h, want := http.Header{}, answered()
	for _, name := range append(slices.Clone(dangerous), unlisted...) {
		for _, spelled := range []string{name, http.CanonicalHeaderKey(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", ".")} {
			h[spelled] = []string{"upstream", "upstream"}
		}
	}
	maps.Copy(h, want)
	a := new(ResponseFilter)
	for range 2 {
		if a.Clean(h, false); !reflect.DeepEqual(h, want) {
			t.Errorf("got  %v\nwant %v", h, want)
		}
	}
	SetPlatformHeaders(h, false, false)
	for name, value := range map[string]string{"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": platformPolicy} {
		want[name] = []string{value}
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %v\nwant %v", h, want)
	}
	SetPlatformHeaders(h, true, false)
	if want["Cross-Origin-Resource-Policy"][0] = "cross-origin"; !reflect.DeepEqual(h, want) {
		t.Errorf("a public answer: %v", h)
	}
}

// An operator can let through what says something about the content, and
// nothing that rules.
func TestA12_WhatOperatorsLetThrough(t *testing.T) {
	a, err := NewResponseFilter([]string{"X-Total-Count", "server-timing", "Deprecation"})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"X-Total-Count": {"7"}, "Server-Timing": {"db"}, "Deprecation": {"x"}, "X_total_count": {"8"}, "X-Other": {"9"}}
	if a.Clean(h, false); len(h) != 3 || h.Get("X-Total-Count") != "7" {
		t.Errorf("%v", h)
	}
	for _, name := range dangerous {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if _, err := NewResponseFilter([]string{spelled}); err == nil {
				t.Errorf("%s can be let through", spelled)
			}
		}
	}
	for _, names := range [][]string{{""}, {"X Y"}, {"X_Y"}, {"X.Y"}, {"X:"}, {"é"}, {"X-A", "x-a"}, {"ETag"}, {"Location"}, {"RateLimit-Reset"}, {"Clear-Site-Cookie"}, {"My-Authenticate"}, {"Any-Cache-Control"}, {"Any-Policy"}} {
		if _, err := NewResponseFilter(names); err == nil {
			t.Errorf("%q can be let through", names)
		}
	}
}

// reverse_proxy removes what Connection names, after we set Cache-Control: an
// answer could make itself cacheable. A handshake's answer must stay one.
func TestT12_AnswersNameNothingInConnection(t *testing.T) {
	a := new(ResponseFilter)
	h := http.Header{"Connection": {"close, Cache-Control", "X-Content-Type-Options"}}
	if a.Clean(h, false); len(h) > 0 {
		t.Errorf("left: %v", h)
	}
	h = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"h2c"}, "Sec-Websocket-Accept": {"x"}} // not 101
	if a.Clean(h, false); len(h) > 0 {
		t.Errorf("left: %v", h)
	}
	h = http.Header{"Connection": {"upgrade, Cache-Control"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Protocol": {"chat"}, "Sec-Session-Registration": {"x"}, "Set-Cookie": {"x"}}
	a.Clean(h, true)
	SetPlatformHeaders(h, false, true)
	want := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Protocol": {"chat"},
		"Cache-Control": {"private, no-store"}, "X-Content-Type-Options": {"nosniff"}, "Cross-Origin-Resource-Policy": {"same-origin"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v", h)
	}
}

// Trailers come after all that a client or cache has judged.
func TestA12_AnswersTrailers(t *testing.T) {
	a, err := NewResponseFilter([]string{"X-Total-Count"})
	if err != nil {
		t.Fatal(err)
	}
	trailer := http.Header{}
	for _, name := range slices.Concat(dangerous, unlisted, slices.Collect(maps.Keys(answered()))) {
		trailer[name] = []string{"x"}
	}
	a.Trailer(trailer)
	if got := slices.Sorted(maps.Keys(trailer)); !slices.Equal(got, []string{"Content-Digest", "Content-Md5", "Digest", "Repr-Digest", "X-Checksum", "X-Total-Count"}) {
		t.Errorf("left: %v", got)
	}
	a.Trailer(nil)
}

// Browsers obey Set-Cookie in a 103 as well.
func TestInformationalAnswersKeepOnlyLink(t *testing.T) {
	h := http.Header{"Link": {"</a.css>; rel=preload", "</b.js>; rel=preload"}, "Set-Cookie": {"a=b"}, "X-Other": {"c"}, "Alt-Svc": {"h3"}}
	Clean1xx(h)
	if want := (http.Header{"Link": {"</a.css>; rel=preload", "</b.js>; rel=preload"}}); !reflect.DeepEqual(h, want) {
		t.Errorf("got %v", h)
	}
	Clean1xx(nil)
}

func BenchmarkClean(b *testing.B) {
	a, h := new(ResponseFilter), http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"2"}, "Etag": {`"x"`}, "Date": {"x"}, "Vary": {"x"},
		"Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"999"}, "Ratelimit-Reset": {"1"}, "X-Request-Id": {"1"},
	}
	b.ReportAllocs()
	for b.Loop() {
		h["Server"], h["Set-Cookie"], h["Strict-Transport-Security"] = nil, nil, nil
		a.Clean(h, false)
		SetPlatformHeaders(h, false, false)
	}
}
