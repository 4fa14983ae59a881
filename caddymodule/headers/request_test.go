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

func mustNew(t testing.TB, forward ...string) *RequestFilter {
	t.Helper()
	a, err := NewRequestFilter(forward)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// browser is what Chromium sends with a fetch of the app's own page, and what
// a cookie session adds.
func browser() http.Header {
	return http.Header{
		"Accept":             {"application/json"},
		"Accept-Encoding":    {"gzip, deflate, br, zstd"},
		"Accept-Language":    {"en-GB,en;q=0.9"},
		"Authorization":      {"Bearer placeholder"},
		"Cookie":             {"__Host-session=abc"},
		"Referer":            {"https://app.example.org/"},
		"Sec-Ch-Ua":          {`"Chromium";v="140"`},
		"Sec-Ch-Ua-Mobile":   {"?0"},
		"Sec-Ch-Ua-Platform": {`"Linux"`},
		"Sec-Fetch-Dest":     {"empty"},
		"Sec-Fetch-Mode":     {"cors"},
		"Sec-Fetch-Site":     {"same-origin"},
		"User-Agent":         {"Mozilla/5.0"},
	}
}

// forbidden are names that must not reach a platform, by the value they would
// carry there: identity, origin, address, connection, override (T09 to T18).
var forbidden = []string{
	"Authorization", "Cookie", "Cookie2", "Origin", "Referer", "Host", "X-Csrf-Token",
	"Proxy-Authorization", "Proxy-Connection", "Proxy-Anything",
	"Sec-Fetch-Site", "Sec-Ch-Ua", "Sec-Gpc", "Sec-Websocket-Accept",
	"Forwarded", "Via", "From", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Access-Token",
	"X-Real-Ip", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Originating-Ip", "X-Remote-Addr",
	"Keep-Alive", "Trailer", "Transfer-Encoding", "Http2-Settings", "Early-Data",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Url", "X-Original-Host", "X-Rewrite-Url",
	"X-Middleware-Subrequest",
}

// Nothing that tells who the user is here, or that changes what the platform
// does, may come from a client (T09, T13 to T16, T18).
func TestT09_OnlyAllowedHeadersCross(t *testing.T) {
	in := browser()
	for _, name := range forbidden {
		in[name] = []string{"client"}
	}
	for _, name := range []string{
		"X-Participant-Id", "X-User-Id", "Remote-User", "Cache-Control", "Pragma", "Dnt", "Connection", "Upgrade", "Te", ":protocol",
		"Sec-Websocket-Key", "X-Idempotency-Key", "Acceptx", "Rangex", "Ifx",
	} {
		in[name] = []string{"client"}
	}
	want := http.Header{
		"Accept":            {"application/json"},
		"Accept-Encoding":   {"gzip, deflate, br, zstd"},
		"Accept-Language":   {"en-GB,en;q=0.9"},
		"User-Agent":        {"Mozilla/5.0"},
		"Content-Type":      {"application/json"},
		"Content-Length":    {"2"},
		"If-None-Match":     {`"a"`, `"b"`},
		"If-Modified-Since": {"Sat, 21 Nov 2026 04:00:00 GMT"},
		"Range":             {"bytes=0-"},
		"Idempotency-Key":   {"1"},
	}
	maps.Copy(in, want)
	if got := mustNew(t, "idempotency-key").Filter(in, false); !reflect.DeepEqual(got, want) {
		t.Errorf("crossed: %v\nwant:    %v", got, want)
	}
}

// Servers that turn headers into environment variables take X_Participant_Id
// and X.Participant.Id for X-Participant-Id; odd spellings of a map key go on
// the wire beside ours (T10, T11).
func TestT10_T11_AliasesDoNotCross(t *testing.T) {
	for _, name := range []string{
		"X_Participant_Id", "X.Participant.Id", "Authorization_", "authorization", "AUTHORIZATION", "Authorization ", " Authorization",
		"Accept_Language", "Content.Type", "Content_Length", "content-type", "Content-Type ", "Content-Md5", "If_Match", "If-Match\t", "User_Agent",
		"Accept-\r\nCookie: a", "Content-Typé", "",
	} {
		for _, upgrade := range []bool{false, true} {
			got := mustNew(t).Filter(http.Header{name: {"client"}}, upgrade)
			delete(got, "Connection")
			delete(got, "Upgrade")
			if len(got) != 0 {
				t.Errorf("%q crossed as %v", name, got)
			}
		}
	}
}

// `Connection: Authorization, …` makes a proxy remove what its operator set
// (T12): Connection must name nothing but an allowed upgrade.
func TestT12_ConnectionNamesNothing(t *testing.T) {
	in := http.Header{
		"Connection": {"close, Authorization", "X-Api-Key", "Upgrade"},
		"Upgrade":    {"h2c"},
		"Accept":     {"*/*"},
	}
	if got, want := mustNew(t).Filter(in, false), (http.Header{"Accept": {"*/*"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("crossed: %v", got)
	}
	// The policy allowed a WebSocket and nothing else.
	want := http.Header{"Accept": {"*/*"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	if got := mustNew(t).Filter(in, true); !reflect.DeepEqual(got, want) {
		t.Errorf("crossed with an upgrade: %v", got)
	}

	out := http.Header{"Connection": {"Upgrade, X-Api-Key"}, "Upgrade": {"WebSocket"}, "connection": {"X-Api-Key"}, "X-Api-Key": {"operator"}}
	out = Enforce(out)
	if want := (http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "X-Api-Key": {"operator"}}); !reflect.DeepEqual(out, want) {
		t.Errorf("on the wire: %v", out)
	}
}

// A handshake needs its headers to arrive, over HTTP/1.1 and as an extended
// CONNECT, and no other Sec-* header with them.
func TestHandshakeCrosses(t *testing.T) {
	handshake := http.Header{
		"Sec-Websocket-Key":        {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Version":    {"13"},
		"Sec-Websocket-Protocol":   {"chat, superchat"},
		"Sec-Websocket-Extensions": {"permessage-deflate"},
	}
	want := maps.Clone(handshake)
	want["Connection"] = []string{"Upgrade"}
	want["Upgrade"] = []string{"websocket"}

	in := maps.Clone(handshake)
	in["Connection"] = []string{"keep-alive, Upgrade"}
	in["Upgrade"] = []string{"websocket"}
	in["Sec-Fetch-Mode"] = []string{"websocket"}
	in["Sec-Websocket-Accept"] = []string{"x"}
	in["Sec_websocket_key"] = []string{"x"}
	got := mustNew(t).Filter(in, true)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("HTTP/1.1: %v", got)
	}
	got["Sec-Fetch-Mode"] = []string{"websocket"}
	// reverse_proxy writes the names as in RFC 6455.
	wire := map[string][]string(got)
	wire["Sec-WebSocket-Key"] = got["Sec-Websocket-Key"]
	delete(got, "Sec-Websocket-Key")
	got = Enforce(got)
	if len(wire["Sec-WebSocket-Key"]) != 1 || len(got) != len(want) {
		t.Errorf("on the wire: %v", got)
	}

	in = maps.Clone(handshake)
	in[":protocol"] = []string{"websocket"}
	want[":protocol"] = []string{"websocket"}
	if got := mustNew(t).Filter(in, true); !reflect.DeepEqual(got, want) {
		t.Errorf("extended CONNECT: %v", got)
	}
	for _, out := range []http.Header{
		{"Sec-Websocket-Key": {"x"}},
		{"Sec-Websocket-Key": {"x"}, "Upgrade": {"websocket"}},
		{"Sec-Websocket-Key": {"x"}, "Connection": {"Upgrade"}},
		{"Sec-Websocket-Key": {"x"}, "Connection": {"Upgrade"}, "Upgrade": {"h2c"}},
		{"Sec-Websocket-Key": {"x"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket", "h2c"}},
	} {
		if out = Enforce(out); len(out) != 0 {
			t.Errorf("left of half a handshake: %v", out)
		}
	}
}

// TE is for one connection; only that trailers are welcome may be passed on.
func TestTrailersAreWelcome(t *testing.T) {
	for value, want := range map[string][]string{
		"trailers": {"trailers"}, "gzip, Trailers": {"trailers"}, "gzip": nil, "": nil, "trailersx": nil,
	} {
		got := mustNew(t).Filter(http.Header{"Te": {value}}, false)
		if !slices.Equal(got["Te"], want) {
			t.Errorf("TE: %s crossed as %v", value, got)
		}
		out := http.Header{"Te": {value}}
		if out = Enforce(out); !slices.Equal(out["Te"], want) {
			t.Errorf("TE: %s on the wire as %v", value, out)
		}
	}
}

// Filter's result is added to by later handlers while the original is logged
// and read by error pages: what is added may not show there.
func TestFilterLeavesTheOriginal(t *testing.T) {
	in := http.Header{"Accept": {"a", "b"}, "If-Match": {"c"}, "Cookie": {"secret"}}
	before := in.Clone()
	out := mustNew(t).Filter(in, false)
	out["Accept"] = append(out["Accept"], "d")
	out["If-Match"] = append(out["If-Match"], "e")
	out.Set("Authorization", "Bearer secret")
	if !reflect.DeepEqual(in, before) {
		t.Errorf("the original became %v", in)
	}
	if want := []string{"a", "b", "d"}; !slices.Equal(out["Accept"], want) {
		t.Errorf("the values run into each other: %v", out)
	}
	if want := []string{"c", "e"}; !slices.Equal(out["If-Match"], want) {
		t.Errorf("the values run into each other: %v", out)
	}
}

// An operator who forwards one of these gives the user's session, address or
// the control over method and URL to the platform or the client.
func TestNewRefuses(t *testing.T) {
	names := append(slices.Clone(forbidden),
		"Connection", "Te", "Upgrade", "Sec-Websocket-Key", "authorization", "COOKIE", "x-forwarded-for",
		"", "X_Api_Key", "X.Api.Key", "X-*", "*", "X Api", "X-Api,X-Other", "{http.request.header.X}", ":protocol", "X-Ä", "X-Api\r\nCookie")
	for _, name := range names {
		if _, err := NewRequestFilter([]string{name}); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for name, want := range map[string]string{
		"cookie": "Cookie never crosses", "": "empty", "X_Api_Key": `"X_Api_Key"`, "X-*": "every name by itself",
	} {
		if _, err := NewRequestFilter([]string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", name, err, want)
		}
	}
	if _, err := NewRequestFilter([]string{"X-Api-Key", "x-api-key"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a repeated name: %v", err)
	}
}
