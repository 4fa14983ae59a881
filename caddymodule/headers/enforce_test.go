// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// The proxy in between and the operator's own rules add headers after the
// filter; this is the last gate (T12, T17, T18).
func TestEnforceRemovesWhatNeverCrosses(t *testing.T) {
	out := http.Header{
		"Accept": {"*/*"}, "User-Agent": {""}, "Content-Length": {"2"},
		"X-Api-Key": {"operator"}, "X_Legacy": {"operator"}, "Traceparent": {"00-1-2-00"}, "Ocp-Apim-Subscription-Key": {"operator"},
	}
	want := out.Clone()
	for _, name := range forbidden {
		out[name] = []string{"x"}
		out[strings.ToLower(name)] = []string{"x"}
		out[strings.ReplaceAll(name, "-", "_")] = []string{"x"}
		out[strings.ReplaceAll(name, "-", ".")] = []string{"x"}
	}
	out["X-Forwarded-"+strings.Repeat("A", 100)] = []string{"x"}
	out = Enforce(out)
	if !reflect.DeepEqual(out, want) {
		t.Errorf("on the wire: %v", out)
	}
}

// A header that the HTTP client will not send is an error that counts against
// the upstream: one user could close it for all (T19).
func TestT19_UnsendableHeadersAreRemoved(t *testing.T) {
	out := http.Header{
		"X-Line":  {"a\r\nCookie: b"},
		"X-Nul":   {"a\x00"},
		"X-Last":  {"ok", "a\nb"},
		"X Space": {"a"},
		"X:Colon": {"a"},
		"":        {"a"},
		"X-Ok":    {"a\tb é"},
		"X-Empty": {""},
	}
	out = Enforce(out)
	if want := (http.Header{"X-Ok": {"a\tb é"}, "X-Empty": {""}}); !reflect.DeepEqual(out, want) {
		t.Errorf("on the wire: %v", out)
	}
}

// Some servers merge trailers into the headers, after all checks (A11).
func TestA11_TrailersAreAnAllowList(t *testing.T) {
	kept := http.Header{"X-Checksum": {"1"}, "Content-Digest": {"sha-256=:a:"}, "Repr-Digest": {"b"}, "Digest": {"c"}, "Content-Md5": {"d"}, "Idempotency-Key": {"e"}}
	trailer := kept.Clone()
	for _, name := range slices.Concat(forbidden, []string{
		"Remote-User", "X-Remote-User", "X-Api-Key", "X-Participant-Id", "Sec-Websocket-Key", "Te", "Connection", "Upgrade", "X-User", "Api-Key",
		"Accept", "Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "If-Match", "Range", "User-Agent", "Last-Event-Id", "Host", "Expect", "Unknown",
	}) {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", ".")} {
			trailer[spelled] = []string{"x"}
		}
	}
	trailer["X_Checksum"] = []string{"2"}
	trailer["x-checksum"] = []string{"2"}
	mustNew(t, "Idempotency-Key").Trailer(trailer)
	if !reflect.DeepEqual(trailer, kept) {
		t.Errorf("left: %v", trailer)
	}
	bad := http.Header{"X-Checksum": {"a\nb"}, "Idempotency-Key": {"1"}}
	mustNew(t).Trailer(bad)
	if len(bad) > 0 {
		t.Errorf("left: %v", bad)
	}
	mustNew(t).Trailer(nil) // a request without trailers
}

// No name and value that a client can send may reach the wire under a
// forbidden name, in whatever spelling a server might fold.
func FuzzFilterEnforce(f *testing.F) {
	f.Add("Authorization", "Bearer x", "X-Api-Key", "X_Real_IP", true)
	f.Add("Connection", "Upgrade, Authorization", "Upgrade", "Sec-WebSocket-Key", true)
	f.Add("X.Forwarded.For", "::1", "te", "trailers, gzip", false)
	f.Add("Accept-Cookie", "a\r\nb", "Cookie", "Content_Length", false)
	banned := map[string]bool{}
	for _, name := range forbidden {
		banned[strings.ToLower(name)] = true
	}
	fold := strings.NewReplacer("_", "-", ".", "-")
	f.Fuzz(func(t *testing.T, name, value, forward, added string, upgrade bool) {
		a, err := NewRequestFilter([]string{forward})
		if err != nil {
			a = mustNew(t)
		}
		in := browser()
		in[name] = []string{value, "second"}
		in[http.CanonicalHeaderKey(name)] = []string{value}
		in[http.CanonicalHeaderKey(forward)] = []string{value}
		before := in.Clone()
		out := a.Filter(in, upgrade)
		if !reflect.DeepEqual(in, before) {
			t.Fatalf("the original became %v", in)
		}
		out[added] = []string{value} // an operator's rule
		out = Enforce(out)
		for k, values := range out {
			folded := fold.Replace(strings.ToLower(strings.TrimSpace(k)))
			if banned[folded] || strings.HasPrefix(folded, "proxy-") || strings.HasPrefix(folded, "x-forwarded") ||
				strings.HasPrefix(folded, "sec-") && !(upgrade && strings.HasPrefix(strings.ToLower(k), "sec-websocket-")) {
				t.Fatalf("%q is on the wire", k)
			}
			if folded == "te" && (k != "Te" || !slices.Equal(values, []string{"trailers"})) ||
				folded == "connection" && (k != "Connection" || !upgrade || !slices.Equal(values, []string{"Upgrade"})) ||
				folded == "upgrade" && (k != "Upgrade" || !upgrade || !slices.Equal(values, []string{"websocket"})) {
				t.Fatalf("%q: %q is on the wire", k, values)
			}
			for _, v := range values {
				if !httpguts.ValidHeaderFieldName(k) || !httpguts.ValidHeaderFieldValue(v) {
					t.Fatalf("%q: %q cannot be sent", k, v)
				}
			}
		}
		again := out.Clone()
		if again = Enforce(again); !reflect.DeepEqual(again, out) {
			t.Fatalf("a second time it is %v instead of %v", again, out)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	a, in := mustNew(b), browser()
	b.ReportAllocs()
	for b.Loop() {
		a.Filter(in, false)
	}
}

func BenchmarkEnforce(b *testing.B) {
	out := mustNew(b).Filter(browser(), false)
	b.ReportAllocs()
	for b.Loop() {
		out["X-Forwarded-For"] = nil
		out["X-Forwarded-Proto"] = nil
		out["X-Forwarded-Host"] = nil
		out["Via"] = nil
		out = Enforce(out)
	}
}

// The short cut must not let a name through that a rule is about.
func TestUsualNamesAreNobodysBusiness(t *testing.T) {
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Length", "Content-Type", "If-Match", "If-Modified-Since", "If-None-Match",
	} {
		if !skipRules(name) || forbiddenInRequest.contains(name) || webSocketRequest.contains(name) {
			t.Errorf("%s takes a short cut past a rule", name)
		}
		if out := mustNew(t).Filter(http.Header{name: {"1"}}, false); len(out) != 1 {
			t.Errorf("%s does not cross", name)
		}
	}
	for _, name := range append(slices.Clone(forbidden), "Connection") {
		if skipRules(name) || skipRules(http.CanonicalHeaderKey(name)) {
			t.Errorf("%s takes a short cut", name)
		}
	}
}
