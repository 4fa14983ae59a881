// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	secretKey    = "k3yOfTheMember0123456789abcdefXY"
	secretBearer = "ory_at_operatorsOwnToken"
)

var alice = Member{UID: "4020", ConnectionID: "4020-40000", Key: delegation.NewSecret(secretKey)}

func token() *delegation.Token {
	return &delegation.Token{Access: delegation.NewSecret(secretBearer)}
}

// outgoing is a request as the transport hands it to Apply.
func outgoing(t *testing.T, method, path, query string) *http.Request {
	t.Helper()
	decoded, err := url.PathUnescape(path)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{
		Method: method, Host: "api.mydex.org", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Scheme: "https", Host: "api.mydex.org:443", Path: decoded, RawPath: path, RawQuery: query},
		Header: http.Header{"Accept": {"application/json"}},
		Body:   http.NoBody,
	}
}

func credential(t *testing.T, method, path string, rules ...Rule) *Credential {
	t.Helper()
	s, err := NewStyles(rules)
	if err != nil {
		t.Fatal(err)
	}
	place, err := s.Placement(method, path)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, errors.Unwrap(err))
	}
	return &Credential{Token: token(), Member: alice, Placement: place}
}

// The routes of the platform's documentation, as they reach it.
func TestOnTheWire(t *testing.T) {
	const inQuery = "con_id=4020-40000&source_type=connection&key=" + secretKey
	for _, c := range []struct {
		method, path, query string
		target              string
		header              bool
	}{
		{"GET", "/api/pds/pds/me.json", "dataset=ds_personal_details&instance=0", "/api/pds/pds/4020.json?dataset=ds_personal_details&instance=0&" + inQuery, false},
		{"GET", "/api/pds/pds/me.json", "", "/api/pds/pds/4020.json?" + inQuery, false},
		{"GET", "/api/pds/pds/me.xml", "dataset=a+b", "/api/pds/pds/4020.xml?dataset=a+b&" + inQuery, false},
		{"GET", "/api/pds/pds/me", "", "/api/pds/pds/4020?" + inQuery, false},
		{"PUT", "/api/pds/pds/me.json", "instance=1", "/api/pds/pds/4020.json?instance=1&" + inQuery, false},
		{"GET", "/api/pds/transaction/me.json", "filters[id][operator]>=", "/api/pds/transaction/4020.json?filters[id][operator]>=&" + inQuery, false},
		{"PUT", "/api/pds/transaction/me.json", "id=7", "/api/pds/transaction/4020.json?id=7&" + inQuery, false},
		{"POST", "/api/pds/transaction", "dataset=ds_referrals", "/api/pds/transaction?dataset=ds_referrals&uid=4020&" + inQuery, false},
		{"POST", "/api/pds/add-measurements", "", "/api/pds/add-measurements?uid=4020&con_id=4020-40000", true},
		{"GET", "/api/pds/mam/this-is-me/personal-details", "", "/api/pds/mam/this-is-me/personal-details?uid=4020&con_id=4020-40000", true},
		{"GET", "/api/pds/mam", "", "/api/pds/mam?uid=4020&con_id=4020-40000", true},
		{"GET", "/calendar/get-appointments", "context=c&context_id=1", "/calendar/get-appointments?context=c&context_id=1&uid=4020&con_id=4020-40000", true},
		{"DELETE", "/calendar/delete-event", "", "/calendar/delete-event?uid=4020&con_id=4020-40000", true},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			out := outgoing(t, c.method, c.path, c.query)
			if err := credential(t, c.method, c.path).Apply(out); err != nil {
				t.Fatal(err)
			}
			if got := out.URL.RequestURI(); got != c.target {
				t.Errorf("target is\n%s, want\n%s", got, c.target)
			}
			want := http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + secretBearer}}
			if c.header {
				want["Connection-Token"] = []string{secretKey}
			}
			if !reflect.DeepEqual(out.Header, want) {
				t.Errorf("headers are %v, want %v", out.Header, want)
			}
		})
	}
}

// What a client sends of an identity never arrives, and a prefix of the
// platform's address stays what it is (T18, T25).
func TestT25_NothingOfTheClientsArrives(t *testing.T) {
	for _, c := range []struct {
		method, path string
		rules        []Rule
	}{
		{"GET", "/api/pds/pds/me.json", nil},
		{"POST", "/api/pds/transaction", nil},
		{"POST", "/referrals/self-refer", nil},
		{"GET", "/status", []Rule{{Style: None, Pattern: "/status"}}},
	} {
		var got *http.Request
		platform := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			got = r
		}))
		out := outgoing(t, c.method, "/prefix"+c.path, "uid=31337&con.id=31337-1&Key=31337&connection[token=31337&access_token=31337&q=31337&dataset=x")
		out.URL.Scheme, out.URL.Host = "http", platform.Listener.Addr().String()
		for _, name := range []string{"Connection-Token", "Connection_Token", "connection.token", "CONNECTION_TOKEN", "Authorization", "authorization"} {
			out.Header[name] = []string{"31337", "31337"}
		}
		out.Body = io.NopCloser(strings.NewReader("{}"))
		out.ContentLength = -1
		out.Trailer = http.Header{"Connection-Token": {"31337"}}
		if err := credential(t, c.method, c.path, c.rules...).Apply(out); err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		platform.Close()
		if all := fmt.Sprint(got.RequestURI, got.Header, got.Trailer); strings.Contains(all, "31337") {
			t.Errorf("%s %s: arrived as %s", c.method, c.path, all)
		}
		if !strings.HasPrefix(got.RequestURI, "/prefix/") || len(got.Header["Authorization"]) != 1 {
			t.Errorf("%s %s: arrived as %s %v", c.method, c.path, got.RequestURI, got.Header)
		}
	}
}

// What is incomplete or could break out of its place is not sent.
func TestUnfitMembersAreNotSent(t *testing.T) {
	key := delegation.NewSecret
	for _, m := range []Member{
		{},
		{ConnectionID: "1-2", Key: key("k")},
		{UID: "1", Key: key("k")},
		{UID: "1", ConnectionID: "1-2"},
		{UID: "..", ConnectionID: "1-2", Key: key("k")},
		{UID: "1/2", ConnectionID: "1-2", Key: key("k")},
		{UID: "1?", ConnectionID: "1-2", Key: key("k")},
		{UID: "1%2F", ConnectionID: "1-2", Key: key("k")},
		{UID: "é", ConnectionID: "1-2", Key: key("k")},
		{UID: "1", ConnectionID: "1-2&x", Key: key("k")},
		{UID: "1", ConnectionID: "1-2", Key: key("k\r\nX: y")},
		{UID: "1", ConnectionID: "1-2", Key: key("k k")},
		{UID: "1", ConnectionID: "1-2", Key: key("k\x00")},
		{UID: "1", ConnectionID: "1-2", Key: key("ké")},
	} {
		for _, path := range []string{"/api/pds/pds/me.json", "/api/pds/transaction", "/timeline"} {
			c := credential(t, "GET", path)
			c.Member = m
			out := outgoing(t, "GET", path, "")
			if c.Apply(out) == nil || m.Check() == nil {
				t.Errorf("%s: sent with %q, %q", path, m.UID, m.ConnectionID)
			}
			if out.URL.RequestURI() != path || len(out.Header) != 1 {
				t.Errorf("%s: %s %v", path, out.URL.RequestURI(), out.Header)
			}
		}
	}
}

func TestApplyFailsClosed(t *testing.T) {
	good := credential(t, "GET", "/api/pds/pds/me.json")
	for name, c := range map[string]*Credential{
		"nothing":  {},
		"no token": {Member: alice, Placement: good.Placement},
		"no place": {Token: token(), Member: alice},
		"bad token": {
			Token: &delegation.Token{Access: delegation.NewSecret("a\r\nb")}, Member: alice, Placement: good.Placement,
		},
	} {
		if c.Apply(outgoing(t, "GET", "/api/pds/pds/me.json", "")) == nil {
			t.Errorf("%s: sent", name)
		}
	}
	// Another path than was judged.
	for _, path := range []string{"/api/pds/pds/4021.json", "/api/pds/pds/", "/api/pds/pds/me.jsonp", "me.json"} {
		if err := good.Apply(outgoing(t, "GET", path, "")); !errors.Is(err, errPathChanged) {
			t.Errorf("%s: %v", path, err)
		}
	}
	out := outgoing(t, "GET", "/api/pds/pds/me.json", "")
	out.URL.Opaque = "//api.mydex.org/api/pds/pds/4021.json"
	if err := good.Apply(out); !errors.Is(err, errPathChanged) {
		t.Errorf("opaque: %v", err)
	}
	out = outgoing(t, "GET", "/api/pds/pds/me.json", "")
	out.URL.RawPath = "" // net/url leaves it out where it would say the same
	if err := good.Apply(out); err != nil || out.URL.EscapedPath() != "/api/pds/pds/4020.json" {
		t.Errorf("without RawPath: %v, %s", err, out.URL.EscapedPath())
	}
}

func TestStale(t *testing.T) {
	for status, want := range map[int]bool{200: false, 400: false, 401: true, 403: false, 500: false} {
		c, res := credential(t, "GET", "/timeline"), &http.Response{StatusCode: status, Body: http.NoBody}
		if got := c.Stale(res); got != want || got != (delegation.Bearer{}).Stale(res) {
			t.Errorf("%d: %v", status, got)
		}
	}
}

// Neither key nor bearer may get out by way of a log line (T43).
func TestT43_NothingPrintsASecret(t *testing.T) {
	c := credential(t, "GET", "/api/pds/pds/me.json")
	values := []any{c, *c, &c.Member, c.Member, c.Placement, []Member{c.Member}, map[string]*Credential{"x": c}, struct{ c Credential }{*c}}
	bad := *c
	bad.Member.Key = delegation.NewSecret(secretKey + "\n")
	for _, path := range []string{"/api/pds/pds/me.json", "/elsewhere"} {
		values = append(values, bad.Apply(outgoing(t, "GET", path, "")), c.Apply(outgoing(t, "GET", path, "#")), c.Apply(outgoing(t, "GET", path+"x", "")))
	}
	values = append(values, bad.Member.Check())
	for _, v := range values {
		encoded, _ := json.Marshal(v)
		all := fmt.Sprintf("%v %+v %#v %s %q %s", v, v, v, v, v, encoded)
		if err, ok := v.(error); ok {
			all += fmt.Sprint(errors.Unwrap(err))
		}
		if strings.Contains(all, secretKey) || strings.Contains(all, secretBearer) {
			t.Errorf("%T prints a secret: %s", v, all)
		}
		if _, ok := v.(error); ok && strings.Contains(all, "4020") {
			t.Errorf("%T names a person: %s", v, all)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	s := new(Styles)
	place, err := s.Placement("GET", "/api/pds/pds/me.json")
	if err != nil {
		b.Fatal(err)
	}
	c := &Credential{Token: token(), Member: alice, Placement: place}
	u := url.URL{Scheme: "https", Host: "h", Path: "/api/pds/pds/me.json", RawPath: "/api/pds/pds/me.json", RawQuery: "dataset=ds_personal_details&instance=0"}
	out := &http.Request{Method: "GET", URL: new(url.URL), Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}}, Body: http.NoBody}
	b.ReportAllocs()
	for b.Loop() {
		*out.URL = u
		if err := c.Apply(out); err != nil {
			b.Fatal(err)
		}
	}
}
