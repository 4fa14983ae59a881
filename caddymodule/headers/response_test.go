// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"maps"
	"net/http"
	"reflect"
	"testing"
)

// On the app's origin, the platform's cookies, challenges and rules would be
// the app's own (T18).
func TestT18_AnswersAreCleaned(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"Set-Cookie", "Set-Cookie2", "WWW-Authenticate", "Www-Authenticate", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info",
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
		"Access-Control-Allow-Private-Network", "Timing-Allow-Origin",
		"Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed", "Refresh", "Nel", "NEL", "Report-To", "Reporting-Endpoints",
		"Alt-Svc", "Server", "Via", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-Ct", "Accept-Ch", "Critical-Ch", "Set-Login",
		"Proxy-Status", "Cdn-Cache-Control", "Surrogate-Control", "X-Accel-Redirect", "X-Accel-Expires", "X-Sendfile",
		"set-cookie", "access-control-allow-origin",
	} {
		h[name] = []string{"upstream", "upstream"}
	}
	h["Cache-Control"] = []string{"public, max-age=3600", "immutable"}
	h["X-Content-Type-Options"] = []string{"upstream"}
	h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"}
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"2"}, "Content-Encoding": {"gzip"}, "Content-Disposition": {"attachment"},
		"Etag": {`"x"`}, "Last-Modified": {"x"}, "Vary": {"Accept-Encoding"}, "Location": {"/x"}, "Date": {"x"}, "Allow": {"GET"},
		"Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"999"}, "Ratelimit-Reset": {"1"}, "Retry-After": {"3600"},
		"Accept-Ranges": {"bytes"}, "Content-Range": {"bytes 0-1/2"}, "Link": {"</x>; rel=next"}, "X-Request-Id": {"1"},
		"Content-Security-Policy": {"default-src 'none'"}, "Trailer": {"X-Checksum"}, "X-Accel-Buffering": {"no"},
	}
	maps.Copy(h, want)
	Clean(h)
	want["Cache-Control"] = []string{"private, no-store"}
	want["X-Content-Type-Options"] = []string{"nosniff"}
	want["Cross-Origin-Resource-Policy"] = []string{"same-origin"}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %v\nwant %v", h, want)
	}
	Clean(h)
	if !reflect.DeepEqual(h, want) {
		t.Errorf("a second time: %v", h)
	}
}

// reverse_proxy removes what Connection names, after we set Cache-Control: an
// answer could make itself cacheable. A handshake's answer must stay one.
func TestT12_AnswersNameNothingInConnection(t *testing.T) {
	h := http.Header{"Connection": {"close, Cache-Control", "X-Content-Type-Options"}}
	Clean(h)
	if _, ok := h["Connection"]; ok {
		t.Errorf("Connection is %q", h["Connection"])
	}
	h = http.Header{"Connection": {"upgrade, Cache-Control"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Protocol": {"chat"}}
	Clean(h)
	want := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Protocol": {"chat"},
		"Cache-Control": {"private, no-store"}, "X-Content-Type-Options": {"nosniff"}, "Cross-Origin-Resource-Policy": {"same-origin"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v", h)
	}
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
	h := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"2"}, "Etag": {`"x"`}, "Date": {"x"}, "Vary": {"x"},
		"Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"999"}, "Ratelimit-Reset": {"1"}, "X-Request-Id": {"1"},
	}
	b.ReportAllocs()
	for b.Loop() {
		h["Server"], h["Set-Cookie"], h["Strict-Transport-Security"] = nil, nil, nil
		Clean(h)
	}
}
